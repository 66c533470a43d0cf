# SPDX-License-Identifier: Apache-2.0
"""The tests are a package so that `tests.pg` and its kin can be imported by name from anywhere."""

# SPDX-License-Identifier: Apache-2.0
"""Editions as people see them: names put to ids in one place, then pages, charts and tables."""

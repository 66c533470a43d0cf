# SPDX-License-Identifier: Apache-2.0
"""Figures, each with its command, its machine and a baseline measured in the same run. None of them gates CI."""

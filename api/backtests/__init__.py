# SPDX-License-Identifier: Apache-2.0
"""A back-test's report (`rules/backtest/compare.py`) as a page and as a workbook."""

# SPDX-License-Identifier: Apache-2.0
"""A shop's monthly statement on paper and in sheets: one page to print and stamp, one table, one workbook."""

# SPDX-License-Identifier: Apache-2.0
"""Sheets: bytes of an xlsx or csv in, typed rows and row problems out. No database, no clock, no caller."""

# SPDX-License-Identifier: Apache-2.0
"""Telling people what was done in their name: every entry, and points about to lapse, by message or on paper."""

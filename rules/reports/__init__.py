# SPDX-License-Identifier: Apache-2.0
"""Deeds that people report of themselves (E0, worth nothing yet), their queue, and who may confirm hours."""

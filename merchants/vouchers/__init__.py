# SPDX-License-Identifier: Apache-2.0
"""Vouchers: signed paper for points that are already held, so that a shop without a network can give for them."""

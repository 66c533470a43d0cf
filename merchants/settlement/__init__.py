# SPDX-License-Identifier: Apache-2.0
"""What a shop is owed and was paid: monthly statements made from ledger entries, and their settlement."""

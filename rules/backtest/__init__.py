# SPDX-License-Identifier: Apache-2.0
"""A pack over history: what was (`history`), what would have been (`simulate`), whether it adds up (`replay`), and what
changes for whom (`compare`, `report`)."""

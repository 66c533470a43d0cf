# SPDX-License-Identifier: Apache-2.0
"""How points are earned, and what standing follows from them."""

# SPDX-License-Identifier: Apache-2.0
"""Lists and rankings: what standing follows. Counted from entries, over whole columns and by id; names are put on
elsewhere."""

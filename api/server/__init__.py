# SPDX-License-Identifier: Apache-2.0
"""What every request meets before and after its handler, and how server processes start, are watched and stop."""

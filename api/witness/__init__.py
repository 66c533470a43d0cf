# SPDX-License-Identifier: Apache-2.0
"""Communities that witness each other: the C2SP tlog-witness protocol, both sides of it."""

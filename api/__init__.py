# SPDX-License-Identifier: Apache-2.0
"""How people reach it: HTTP, pages, the command line, identities, permissions. The only room that knows all."""

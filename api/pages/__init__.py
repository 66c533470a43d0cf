# SPDX-License-Identifier: Apache-2.0
"""Pages a browser sees: server-rendered, Chinese first, nothing fetched from elsewhere."""

from api.pages.routes import routes

__all__ = ["routes"]

# SPDX-License-Identifier: Apache-2.0
"""The desk: from a reported deed to a posted award. Evidence → evaluation → (a second person) → entry.

Who may act on what is decided here, not in the handlers: by the place of the deed, never over oneself.
"""

from rules.desk.desk import Desk
from rules.desk.request import AwardRequest, Cause, Evidence

__all__ = ["AwardRequest", "Cause", "Desk", "Evidence"]

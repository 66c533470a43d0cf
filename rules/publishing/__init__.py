# SPDX-License-Identifier: Apache-2.0
"""How a pack becomes the rule: the gate that it must pass, the two people, the notice before it takes effect.

Packs change only forward. Who may propose and who may adopt is decided here, not in the handlers.
"""

from rules.publishing.publishing import Publishing

__all__ = ["Publishing"]

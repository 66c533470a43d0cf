# SPDX-License-Identifier: Apache-2.0
"""One file per resource; each ends with `routes`, the handlers that `api.app` hangs under `/v1`."""

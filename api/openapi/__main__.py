# SPDX-License-Identifier: Apache-2.0
"""`python -m api.openapi`."""

import sys

from api.openapi import main

sys.exit(main())

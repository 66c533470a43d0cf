# SPDX-License-Identifier: Apache-2.0
"""What somebody would write instead, to measure against."""

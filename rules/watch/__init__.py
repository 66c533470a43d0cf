# SPDX-License-Identifier: Apache-2.0
"""Looking for what does not look right: bought hours, one handwriting, one device for many. It says where a person
should look; it never decides, and nothing follows from it by itself."""

# SPDX-License-Identifier: Apache-2.0
"""The vault: who is who. The one erasable room; everything personal is here, sealed, and nowhere else."""

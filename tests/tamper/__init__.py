# SPDX-License-Identifier: Apache-2.0
"""The tamper campaign: an untouched deployment, ways to falsify its database and its export, and what finds them.

`history` makes the deployment, `past` its entries in memory and how they are chained, sealed and signed again,
`tables` and `folder` put a falsified one back and judge it; `db_*` and `export_*` and `rules` are the classes of
mutations; `campaign` runs them. tests/test_tamper.py is the door.
"""

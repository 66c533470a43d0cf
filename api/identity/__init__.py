# SPDX-License-Identifier: Apache-2.0
"""How somebody is known: sessions, passwords, second factors, identity providers, signed requests."""

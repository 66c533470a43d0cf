# SPDX-License-Identifier: Apache-2.0
"""The yardstick for HTTP: Litestar reading the same award body into the same model and sending it back."""

from litestar import Litestar, post

from api.app import StrictModels
from api.http.awards import AwardIn


@post("/echo")
async def echo(data: AwardIn) -> AwardIn:
    return data


app = Litestar([echo], plugins=[StrictModels()], logging_config=None, openapi_config=None)

"""What scores: the model in this process, or a model server that serves the same one.

What speaks to a model server is imported only if there is one: aiohttp takes some 20 MB in each process.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from credit_risk.contract.errors import SettingError
from credit_risk.deciding.open_inference import Address, ServerError
from credit_risk.model.store import StoredModel
from credit_risk.serving.neighbours import count_calls
from credit_risk.serving.settings import Settings, variable_of

if TYPE_CHECKING:
    from credit_risk.deciding.model_server import ModelServer

logger = logging.getLogger("bentoml.credit_risk")
PATIENCE = 5.0  # seconds for each exchange at the start, when the server may be starting too


def open_model_server(settings: Settings, model: StoredModel) -> ModelServer | None:
    """Make the client of the model server that the settings name, if they name one."""
    if settings.scoring is None:
        return None
    from credit_risk.deciding.model_server import OUTCOMES, ModelServer
    from credit_risk.deciding.served_model import ServedModel

    address = Address.parse(settings.scoring)
    timeout = settings.scoring_timeout_ms / 1000
    return ModelServer(
        ServedModel(address, model, timeout),
        model,
        name=address.shown,
        timeout=timeout,
        fallback=settings.scoring_fallback == "local",
        count=count_calls("model server", OUTCOMES),
    )


def check_model_server(settings: Settings, model: StoredModel) -> None:
    """See whether the model server that the settings name, if they name one, serves this model.

    Raises SettingError if it does not; or if it is not there, unless the model in this process may take its place.
    """
    if settings.scoring is None:
        return
    from credit_risk.deciding.inference_client import LostError, NotReadyError, SlowError

    address = Address.parse(settings.scoring)
    fault = f"{variable_of('scoring')}: the model server at {address.shown}"
    try:
        asyncio.run(_check(address, model))
    except (LostError, SlowError, NotReadyError) as error:
        if settings.scoring_fallback == "local":
            logger.warning("The model server at %s %s; the model in each worker scores", address.shown, error)
            return
        raise SettingError(
            f"{fault} {error}; start it, or set {variable_of('scoring_fallback')}=local to score in this service "
            "until it is there"
        ) from None
    except ServerError as error:
        raise SettingError(
            f"{fault} {error}; let it serve what `python -m deploy.model_server export --model {model.tag} FOLDER` "
            "writes, or unset the setting to score in this service"
        ) from None
    logger.info("The model server at %s serves %s, and scores", address.shown, model.tag)


async def _check(address: Address, model: StoredModel) -> None:
    from credit_risk.deciding.served_model import ServedModel

    served = ServedModel(address, model, PATIENCE)
    try:
        await served.check()
    finally:
        await served.close()

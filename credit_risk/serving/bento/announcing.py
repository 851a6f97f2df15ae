"""The first words of the service: what it was started with, or why it does not start."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from credit_risk.contract.errors import StartupError
from credit_risk.serving.bento.logs import refuse
from credit_risk.serving.startup import Startup

logger = logging.getLogger("bentoml.credit_risk")


def announce(startup: Startup) -> None:
    """Log what the service was started with."""
    settings, rulebook = startup.settings, startup.rulebook
    logger.info("Serving %s with policy %s; batching: %s", startup.model.tag, rulebook.policy.version, startup.batching)
    if startup.model.data_source == "synthetic":
        logger.warning("This model was trained on synthetic applications: it is for trying out, not for lending")
    logger.info("Decisions are recorded in: %s", settings.decision_log)
    if rulebook.keys:
        logger.info("API keys are required; known: %s", ", ".join(rulebook.keys))
    else:
        logger.info("No API keys are set: whoever reaches this port may ask")


@contextmanager
def refusing_to_start_wrong() -> Iterator[None]:
    """End the process with the one sentence of a StartupError instead of a traceback."""
    try:
        yield
    except StartupError as error:
        refuse(error)

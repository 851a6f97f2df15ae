"""The routes that stand beside BentoML's: of jobs, and of reviews."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp

from credit_risk.contract.catalogue import Catalogue
from credit_risk.deciding.terms import CurrentTerms
from credit_risk.jobs.signature import Secret
from credit_risk.serving.http.jobs import Jobs
from credit_risk.serving.http.reviews import Reviews
from credit_risk.serving.job_store import OFF
from credit_risk.serving.jobs import Desk
from credit_risk.serving.keys import Keys, secret_of
from credit_risk.serving.reviews import ReviewDesk, keeps_events
from credit_risk.serving.settings import Settings


def with_routes_beside(
    app: ASGIApp,
    settings: Settings,
    release: str,
    terms: CurrentTerms,
    catalogue: Callable[[], Catalogue],
    keys: Callable[[], Keys],
    is_draining: Callable[[], bool],
) -> ASGIApp:
    """Put these routes in front of an application, as far as the settings have them."""

    def secret(caller: str | None) -> Secret | None:
        return secret_of(keys(), caller, settings.webhook_secret)

    if settings.jobs != OFF:
        app = Jobs(app, Desk(settings, terms, release), secret, is_draining)
    if keeps_events(settings):
        app = Reviews(app, ReviewDesk(settings, catalogue, release))
    return app

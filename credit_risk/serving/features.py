"""The feature store that the settings name.

What speaks to Redis is imported only if it is needed: it takes some 20 MB in each process.
"""

from __future__ import annotations

import logging
from pathlib import Path

from credit_risk.deciding.cached_store import CachedStore
from credit_risk.deciding.feature_store import FeatureStore
from credit_risk.deciding.sqlite_store import SQLiteStore
from credit_risk.serving.settings import Settings

logger = logging.getLogger("bentoml.credit_risk")
SQLITE = "sqlite:///"


def open_store(settings: Settings) -> FeatureStore | None:
    """Open the store, if there is one. Raises FeaturesError if it can't be used."""
    url = settings.features
    if url is None:
        return None
    store: FeatureStore
    if url.startswith(SQLITE):
        store = SQLiteStore(Path(url.removeprefix(SQLITE)))
    else:
        from credit_risk.deciding.redis_store import RedisStore

        store = RedisStore(url, seconds=settings.features_timeout_ms / 1000)
    if not settings.features_cache_size:
        return store
    return CachedStore(
        store,
        size=settings.features_cache_size,
        seconds=settings.features_cache_seconds,
        unknown_seconds=settings.features_unknown_seconds,
    )


def check_store(settings: Settings, store: FeatureStore) -> None:
    """Ask the store once, before anything listens. One that does not answer now may do so later: it gets a warning.

    Raises FeaturesError if it refuses.
    """
    fault = None
    if settings.features is not None and not settings.features.startswith(SQLITE):
        from credit_risk.deciding.redis_store import check_redis

        fault = check_redis(settings.features)
    if fault:
        logger.warning("Fields on file can't be looked up in %s yet: %s", store.source, fault)
    else:
        logger.info("Fields on file are looked up in: %s", store.source)

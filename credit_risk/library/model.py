"""A model to decide with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from credit_risk.model import LATEST, MODEL_NAME
from credit_risk.model.store import StoredModel, load_model, with_contents
from credit_risk.training.data import Dataset
from credit_risk.training.pipeline import Trained, metadata_of
from credit_risk.training.plan import Plan

if TYPE_CHECKING:
    import xgboost as xgb


class Model:
    """A model of the store, from `load`, or a trained one, from `train`."""

    def __init__(self, stored: StoredModel) -> None:
        self._stored = stored

    @property
    def tag(self) -> str:
        """Its name and version, as decisions carry it; the version is `unsaved` if it is not in the store."""
        return self._stored.tag

    @property
    def metadata(self) -> dict[str, Any]:
        """Where it comes from and how good it is, such as `metadata["cross_validation"]["mean"]["auc"]`."""
        return self._stored.metadata

    def __repr__(self) -> str:
        rows, source = self.metadata["rows"], self.metadata["data_source"]
        return f"<Model {self.tag}, trained on {rows:,} {source} applications>"


def load(tag: str = LATEST) -> Model:
    """Load a model from the BentoML model store, and check that it is what was saved.

    >>> model = load()
    >>> model = load("credit_risk_model:gdb3kbhmcojxsax4")

    Raises ModelError, which names the fix.
    """
    return Model(load_model(tag))


@dataclass(frozen=True)
class UnsavedModel(StoredModel):
    """A model that is in memory only."""

    content: bytes  # the booster's file

    @cached_property
    def _booster(self) -> xgb.Booster:
        import xgboost as xgb

        return xgb.Booster(model_file=bytearray(self.content))  # as it would be loaded, for the same decisions

    @classmethod
    def of(cls, trained: Trained, dataset: Dataset, plan: Plan) -> UnsavedModel:
        return cls(
            tag=f"{MODEL_NAME}:unsaved",
            created=datetime.now(UTC),
            metadata=with_contents(metadata_of(trained, dataset, plan), trained.booster, trained.vectorizer),
            batchable=True,
            report=Path(),
            digest="",
            content=bytes(trained.booster.save_raw("ubj")),
        )

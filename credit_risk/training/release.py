"""From a trained model to a saved one, and from a saved one to the latest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from credit_risk.contract.errors import ReleaseError
from credit_risk.contract.policy import Policy
from credit_risk.model import MODEL_NAME, inventory
from credit_risk.model.features import Encoder
from credit_risk.model.releases import current_user
from credit_risk.model.store import StoredModel, load_model, save_model, sha256_of
from credit_risk.training.card import ModelCard
from credit_risk.training.data import Dataset
from credit_risk.training.figures import Economics
from credit_risk.training.gate import PROTECTED, faults_of
from credit_risk.training.incumbent import Progress, contest
from credit_risk.training.pipeline import Trained, metadata_of
from credit_risk.training.plan import Plan
from credit_risk.training.validation import Validation, steps, validate

MIN_AUC = 0.80
ECONOMICS = Economics(margin=0.10, loss_given_default=0.50)


@contextmanager
def in_silence(title: str, total: int) -> Iterator[Callable[[], None]]:  # noqa: ARG001 - a Progress that shows nothing
    yield lambda: None


@dataclass(frozen=True)
class Judgement:
    """What is known of a trained model before it is saved."""

    metadata: dict[str, Any]
    validation: Validation
    comparison: str  # with the latest model, as a sentence
    gate: list[str]  # what the release gate has against it


def judge(
    trained: Trained,
    dataset: Dataset,
    plan: Plan,
    policy: Policy,
    *,
    min_auc: float = MIN_AUC,
    progress: Progress = in_silence,
) -> Judgement:
    """Validate a model, compare it with the latest one, and ask the release gate."""
    metadata = metadata_of(trained, dataset, plan)
    with progress("Validating", steps(trained, plan)) as advance:
        validation = validate(trained, dataset, policy, plan, advance)
    compared, auc = contest(trained, metadata, dataset, plan, progress), trained.cross_validation.mean.auc
    gate = faults_of(auc, validation.recalibration, compared, min_auc=min_auc, protected=plan.protected)
    return Judgement(metadata, validation, compared.sentence, gate)


def save(
    trained: Trained, dataset: Dataset, judgement: Judgement, policy: Policy, economics: Economics = ECONOMICS
) -> StoredModel:
    """Save a model as a candidate, with its card and with what the gate has against it."""

    def report(tag: str, created: datetime) -> dict[str, str]:
        card = ModelCard.of(
            judgement.metadata,
            tag=tag,
            trained=created,
            booster_sha256=sha256_of(trained.booster),
            features=Encoder.of(trained.vectorizer).names,
            policy=policy,
            test=trained.held_out,
            out_of_fold=trained.out_of_fold,
            contributions=trained.contributions,
            economics=economics,
            validation=judgement.validation,
        )
        return {"model-card.html": card.to_html(), "model-card.json": card.to_json()}

    protected = judgement.metadata["protected"]
    return save_model(
        trained.booster,
        trained.vectorizer,
        labels={"project": "credit-risk", "data_source": dataset.source, "protected": protected},
        metadata=judgement.metadata | {"gate": judgement.gate},
        report=report,
    )


def release(candidate: StoredModel, judgement: Judgement, *, by: str, force: str | None = None) -> StoredModel:
    """Make a candidate the latest unless the gate has something against it. Raises ReleaseError if it has.

    A model with age and marital status is what was asked for, so it is no error that it remains a candidate.
    `force` is the reason to release it whatever the gate says. `by` is what asks for it, such as train.py.
    """
    if judgement.gate and force is None:
        if judgement.gate != [PROTECTED]:
            raise ReleaseError(f"the model is not released: {held_back(candidate, judgement)}")
        return candidate
    inventory.promote(candidate.version, by=current_user(), why=force or f"it passed the release gate of {by}")
    return load_model(f"{MODEL_NAME}:{candidate.version}")


def held_back(candidate: StoredModel, judgement: Judgement) -> str:
    """Say why a model is a candidate, and how it becomes the latest."""
    return (
        f"it is saved as the candidate {candidate.tag} and not the latest, because {'; '.join(judgement.gate)}; "
        f'`python -m credit_risk models promote {candidate.version} --why "..."` makes it the latest'
    )

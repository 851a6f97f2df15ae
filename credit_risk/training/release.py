"""From a trained model to a saved one."""

from __future__ import annotations

from credit_risk.contract.errors import ReleaseError
from credit_risk.contract.policy import Policy
from credit_risk.model import MODEL_NAME
from credit_risk.model.features import Encoder
from credit_risk.model.store import StoredModel, save_model, sha256_of
from credit_risk.training.card import ModelCard
from credit_risk.training.data import Dataset
from credit_risk.training.figures import Economics
from credit_risk.training.pipeline import Trained, metadata_of
from credit_risk.training.plan import Plan

MIN_AUC, MAX_ECE = 0.80, 0.025
ECONOMICS = Economics(margin=0.10, loss_given_default=0.50)


def check_release(trained: Trained, *, min_auc: float = MIN_AUC, max_ece: float = MAX_ECE) -> None:
    """Raise ReleaseError that names each cross-validated figure that is not good enough."""
    mean = trained.cross_validation.mean
    failed = []
    if not mean.auc >= min_auc:
        failed.append(f"AUC {mean.auc:.4f} is below --min-auc {min_auc}")
    if not mean.ece <= max_ece:
        failed.append(f"ECE {mean.ece:.4f} is above --max-ece {max_ece}")
    if failed:
        raise ReleaseError(f"not released: {'; '.join(failed)}; the model store is as it was")


def save(
    trained: Trained, dataset: Dataset, plan: Plan, policy: Policy, economics: Economics = ECONOMICS
) -> StoredModel:
    """Save a model with its metadata and its card, which shows the cutoffs of a policy."""
    metadata = metadata_of(trained, dataset, plan)
    card = ModelCard.of(
        metadata,
        model=MODEL_NAME,
        booster_sha256=sha256_of(trained.booster),
        features=Encoder.of(trained.vectorizer).names,
        policy=policy,
        test=trained.held_out,
        out_of_fold=trained.out_of_fold,
        contributions=trained.contributions,
        economics=economics,
    )
    return save_model(
        trained.booster,
        trained.vectorizer,
        labels={"project": "credit-risk", "data_source": dataset.source, "protected": metadata["protected"]},
        metadata=metadata,
        report={"model-card.html": card.to_html(), "model-card.json": card.to_json()},
    )

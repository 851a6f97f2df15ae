"""What an operator may change while the service runs: API keys, policy, reasons, and which fields are on file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from credit_risk.contract.catalogue import Catalogue, load_catalogue
from credit_risk.contract.errors import PolicyError
from credit_risk.contract.on_file import FieldsOnFile, load_fields_on_file
from credit_risk.contract.policy import Policy, load_policy
from credit_risk.model.store import StoredModel
from credit_risk.serving.keys import Keys
from credit_risk.serving.settings import Settings, load_keys


class Rulebook(BaseModel):
    """All of it together: it changes together, in all workers at once."""

    model_config = ConfigDict(frozen=True)

    keys: Keys
    policy: Policy
    catalogue: Catalogue
    on_file: FieldsOnFile | None = None  # only with a feature store

    def changes_to(self, new: Rulebook) -> list[str]:
        """Describe in a few words each what is different in a new rulebook."""
        changes = []
        for name in ("policy", "catalogue"):
            before, after = getattr(self, name).version, getattr(new, name).version
            if before != after:
                changes.append(f"{name} {before} became {after}")
        if self.on_file != new.on_file:
            changes.append("the fields on file have changed")
        changed = [name for name in self.keys if name in new.keys and self.keys[name] != new.keys[name]]
        for what, names in (
            ("new", [name for name in new.keys if name not in self.keys]),
            ("changed", changed),
            ("removed", [name for name in self.keys if name not in new.keys]),
        ):
            if names:
                changes.append(f"{what} API keys: {', '.join(names)}")
        return changes


def load_rulebook(settings: Settings, model: StoredModel) -> Rulebook:
    """Read the files that the settings name. Raises StartupError with one sentence that names what is wrong."""
    policy, catalogue = load_policy(settings.policy), load_catalogue(settings.reasons)
    if policy.cutoffs.review_above < model.lowest_probability:
        raise PolicyError(
            f"policy {settings.policy} approves nobody: its review_above {policy.cutoffs.review_above:g} is below "
            f"{model.lowest_probability:.4f}, the lowest probability that model {model.tag} gives"
        )
    on_file = load_fields_on_file(settings.features_file) if settings.features else None
    return Rulebook(keys=load_keys(settings), policy=policy, catalogue=catalogue, on_file=on_file)

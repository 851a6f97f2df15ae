"""The release gate: what keeps a model from becoming the latest."""

from __future__ import annotations

from credit_risk.training.calibration import LEVEL, Recalibration
from credit_risk.training.incumbent import Contest

PROTECTED = "it uses age and marital status (--protected include)"


def faults_of(
    auc: float, recalibration: Recalibration, contest: Contest, *, min_auc: float, protected: bool
) -> list[str]:
    """Say in a clause each what the gate has against a model; nothing if it may be released."""
    faults = []
    if not auc >= min_auc:
        faults.append(f"AUC {auc:.4f} is below --min-auc {min_auc}")
    if recalibration.refused:
        faults.append(
            f"its probabilities are not calibrated: the slope is {recalibration.slope:.3f}, the intercept "
            f"{recalibration.intercept:+.3f}, and the test's p-value {recalibration.p_value:.3g} is below {LEVEL}"
        )
    if contest.lost and contest.gain:
        faults.append(
            f"its AUC is lower than that of {contest.tag} by {-contest.gain.value:.4f} "
            f"(95 % interval {-contest.gain.high:.4f} to {-contest.gain.low:.4f})"
        )
    if protected:
        faults.append(PROTECTED)
    return faults

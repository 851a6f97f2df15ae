"""What Python callers use: `from credit_risk import decide, load, train`."""

from credit_risk.contract.errors import DataError, ModelError, ReleaseError
from credit_risk.library.deciding import decide
from credit_risk.library.model import Model, load
from credit_risk.library.training import train

__all__ = ["DataError", "Model", "ModelError", "ReleaseError", "decide", "load", "train"]

"""What the processes that decide import before they are forked. Importing this imports it, which is what it is for."""

from credit_risk.model.lean_import import without_scikit_learn

with without_scikit_learn():
    import xgboost  # noqa: F401

import credit_risk.portfolio.local_engine  # noqa: F401

"""The commands of `python -m credit_risk`, one module each."""

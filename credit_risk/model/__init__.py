"""What scores an application: features, trees, contributions and the model store. It needs no scikit-learn."""

MODEL_NAME = "credit_risk_model"  # in the BentoML model store
LATEST = f"{MODEL_NAME}:latest"

"""What scores an application: features, trees, contributions and the model store. It needs no scikit-learn."""

MODEL_NAME = "credit_risk_model"  # in the BentoML model store
LATEST = f"{MODEL_NAME}:latest"
# Models that are not released have a name of their own, because BentoML makes the newest model of a name its `latest`
# whenever it saves one, deletes one, or misses the file that says which it is.
CANDIDATE_NAME = "credit_risk_candidate"

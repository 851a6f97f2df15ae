from __future__ import annotations

from pathlib import Path

import bentoml
import numpy as np
import pytest

from credit_risk.contract.errors import ModelError
from credit_risk.model.store import BOOSTER_FILE, StoredModel, load_model
from credit_risk.training.data import Dataset


def test_the_model_is_saved_as_the_tutorial_has_it(model: StoredModel) -> None:
    info = bentoml.models.get(model.tag).info
    assert model.tag == f"credit_risk_model:{info.version}"
    assert info.signatures["predict"].batchable is True
    assert info.signatures["predict"].batch_dim == (0, 0)
    assert info.labels == {"project": "credit-risk", "data_source": "synthetic", "protected": "exclude"}


def test_the_metadata_says_how_it_came_about(model: StoredModel, synthetic: Dataset) -> None:
    metadata = model.metadata
    assert metadata["data_sha256"] == synthetic.sha256
    assert metadata["data_source"] == model.data_source == "synthetic"
    assert metadata["rows"] == len(synthetic)
    assert metadata["cross_validation"]["mean"]["auc"] >= 0.80
    assert set(metadata) >= {"parameters", "features", "versions", "seed", "test", "tutorial_cross_validation"}
    assert metadata["versions"]["bentoml"] == bentoml.__version__


def test_the_custom_object_is_the_vectorizer_of_the_rows(model: StoredModel, synthetic: Dataset) -> None:
    vectorizer = bentoml.models.get(model.tag).custom_objects["DictVectorizer"]
    assert tuple(vectorizer.get_feature_names_out()) == model.encoder.names
    booster = bentoml.xgboost.load_model(model.tag)
    matrix = model.encoder.encode_columns(synthetic.columns)
    probability = 1 / (1 + np.exp(-model.scorer.margins(matrix)))
    np.testing.assert_allclose(probability, booster.inplace_predict(matrix), atol=1e-6)


@pytest.mark.usefixtures("trained")
def test_an_absent_model_is_named_with_the_fix() -> None:
    with pytest.raises(ModelError, match=r"no model credit_risk_model:nowhere .* `make train`"):
        load_model("credit_risk_model:nowhere")


def test_a_model_of_others_is_refused(model: StoredModel) -> None:
    booster = bentoml.xgboost.load_model(model.tag)
    other = bentoml.xgboost.save_model("other_model", booster)
    with pytest.raises(ModelError, match="was not saved by this version"):
        load_model(str(other.tag))


def test_a_changed_model_is_refused(model: StoredModel) -> None:
    saved = bentoml.models.get(model.tag)
    booster = bentoml.xgboost.load_model(model.tag)
    copy = bentoml.xgboost.save_model(
        "changed_model", booster, metadata=dict(saved.info.metadata), signatures={"predict": {"batchable": True}}
    )
    assert load_model(str(copy.tag)).tag == str(copy.tag)
    file = Path(bentoml.models.get(copy.tag).path_of(BOOSTER_FILE))
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    with pytest.raises(ModelError, match="was changed after it was saved"):
        load_model(str(copy.tag))
    file.unlink()
    with pytest.raises(ModelError, match="was changed after it was saved"):
        load_model(str(copy.tag))


def test_the_signature_is_honoured(model: StoredModel) -> None:
    saved = bentoml.models.get(model.tag)
    booster = bentoml.xgboost.load_model(model.tag)
    metadata = dict(saved.info.metadata)
    assert model.batchable is True
    alone = bentoml.xgboost.save_model("unbatchable_model", booster, metadata=metadata)
    assert load_model(str(alone.tag)).batchable is False
    sideways = bentoml.xgboost.save_model(
        "sideways_model", booster, metadata=metadata, signatures={"predict": {"batchable": True, "batch_dim": 1}}
    )
    with pytest.raises(ModelError, match="another batch_dim than 0"):
        load_model(str(sideways.tag))


def test_the_report_lies_beside_the_model(model: StoredModel) -> None:
    assert sorted(path.name for path in model.report.iterdir()) == ["model-card.html", "model-card.json"]

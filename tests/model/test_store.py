from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from typing import Any

import bentoml
import numpy as np
import pytest
import xgboost as xgb

from credit_risk.contract.errors import ModelError
from credit_risk.model.manifest import FILES, Manifest
from credit_risk.model.store import StoredModel, load_model, save_model
from credit_risk.training.data import Dataset
from tests.models import copy_model, editing, folder_of, seal


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
    with pytest.raises(ModelError, match=r"has no manifest.json, .* `make train`$"):
        load_model(str(other.tag))


def test_a_copy_is_as_good_as_the_model(model: StoredModel) -> None:
    copy_model(model, "copied_model")
    assert load_model("copied_model:copy").metadata == model.metadata


def refusal_of(tag: str) -> str:
    with pytest.raises(ModelError) as raised:
        load_model(tag)
    return str(raised.value)


@pytest.mark.parametrize(("name", "content"), FILES.items())
def test_each_file_that_was_changed_or_lost_is_named(model: StoredModel, name: str, content: str) -> None:
    file = copy_model(model, "changed_model") / name
    file.write_bytes(file.read_bytes() + b" ")
    assert refusal_of("changed_model:copy") == (
        f"model changed_model:copy is not what was saved: {name} ({content}) was changed; "
        "restore it or train one with `make train`"
    )
    file.unlink()
    lost = "does not contain a 'model.yaml'; restore it" if name == "model.yaml" else f"{name} ({content}) is missing; "
    assert lost in refusal_of("changed_model:copy")


def swap_two_features(model_yaml: dict[str, Any]) -> None:
    features = model_yaml["metadata"]["features"]
    features[0], features[2] = features[2], features[0]


def change_a_reference(model_yaml: dict[str, Any]) -> None:
    applicant = model_yaml["metadata"]["references"][0]["applicant"]
    applicant["income"] = math.nextafter(applicant["income"], 1)


def change_the_source(model_yaml: dict[str, Any]) -> None:
    model_yaml["metadata"]["data_source"] = "real"


def change_a_label(model_yaml: dict[str, Any]) -> None:
    model_yaml["labels"]["data_source"] = "real"


def change_the_signature(model_yaml: dict[str, Any]) -> None:
    model_yaml["signatures"]["predict"]["batchable"] = False


@pytest.mark.parametrize(
    "change", [swap_two_features, change_a_reference, change_the_source, change_a_label, change_the_signature]
)
def test_what_is_changed_in_the_metadata_is_noticed(
    model: StoredModel, change: Callable[[dict[str, Any]], None]
) -> None:
    folder = copy_model(model, "changed_model")
    with editing(folder / "model.yaml") as content:
        change(content)
    assert "model.yaml (the names of the features and other metadata) was changed; " in refusal_of("changed_model:copy")


def test_everything_that_is_wrong_is_named_at_once(model: StoredModel) -> None:
    shutil.rmtree(copy_model(model, "changed_model") / "report")
    refusal = refusal_of("changed_model:copy")
    assert all(f"{name} ({FILES[name]}) is missing" in refusal for name in FILES if name.startswith("report/"))


def test_changing_a_file_and_its_sha256_is_not_enough(model: StoredModel) -> None:
    folder = copy_model(model, "changed_model")
    (folder / "report" / "model-card.html").write_text("The best model of all")
    manifest = Manifest.read(folder)
    manifest.model_copy(update={"files": Manifest.of(folder).files}).write(folder)
    assert "is not what was saved: manifest.json was changed; " in refusal_of("changed_model:copy")


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"digest": 1, "files": {}}', b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(model: StoredModel, content: bytes) -> None:
    (copy_model(model, "changed_model") / "manifest.json").write_bytes(content)
    assert "is not what was saved: manifest.json can't be read; " in refusal_of("changed_model:copy")


def test_a_model_that_was_saved_before_there_were_manifests_is_refused(model: StoredModel) -> None:
    (copy_model(model, "old_model") / "manifest.json").unlink()
    refusal = refusal_of("old_model:copy")
    assert "has no manifest.json, so this version's train.py did not save it; train one with `make train`" in refusal


BROKEN = {
    "empty": b"",
    "no mapping": b"- 1",
    "no YAML": b"metadata: [",
    "no text": b"\xff\xfe",
    "code": b"metadata: !!python/object/apply:os.getcwd []",
    "too deep": b"metadata: " + b"[" * 5000,
    "no model": b"name: broken_model",
    "metadata of another kind": b"name: broken_model\nversion: copy\nmetadata: 1\nlabels: 2\nsignatures: 3",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_model_yaml_is_refused(model: StoredModel, content: bytes) -> None:
    folder = copy_model(model, "broken_model")
    (folder / "model.yaml").write_bytes(content)
    refusal = refusal_of("broken_model:copy")
    shutil.rmtree(folder)
    assert refusal.startswith("model broken_model:copy can't be read from the BentoML model store: ")
    assert refusal.endswith("; restore it, or delete its folder in BENTOML_HOME/models and train one with `make train`")
    assert len(refusal.splitlines()) == 1


def test_nothing_is_saved_beside_a_latest_model_that_cannot_be_read(model: StoredModel) -> None:
    folder = folder_of(model)
    before = (folder / "model.yaml").read_bytes()
    booster: xgb.Booster = bentoml.xgboost.load_model(model.tag)
    vectorizer = bentoml.models.get(model.tag).custom_objects["DictVectorizer"]
    (folder / "model.yaml").write_bytes(b"")
    try:
        with pytest.raises(ModelError, match=r"credit_risk_model:latest can't be read .* delete its folder"):
            save_model(booster, vectorizer, labels={}, metadata={}, report=lambda *_: {})
        assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]
    finally:
        (folder / "model.yaml").write_bytes(before)


def test_the_signature_is_honoured(model: StoredModel) -> None:
    assert model.batchable is True
    folder = copy_model(model, "signed_model")
    with editing(folder / "model.yaml") as content:
        content["signatures"]["predict"] = {"batchable": False}
    seal(folder)
    assert load_model("signed_model:copy").batchable is False
    with editing(folder / "model.yaml") as content:
        content["signatures"]["predict"] = {"batchable": True, "batch_dim": [1, 1]}
    seal(folder)
    with pytest.raises(ModelError, match="another batch_dim than 0"):
        load_model("signed_model:copy")


def test_the_report_lies_beside_the_model(model: StoredModel) -> None:
    assert sorted(path.name for path in model.report.iterdir()) == ["model-card.html", "model-card.json"]

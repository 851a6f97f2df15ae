"""Replay takes for each line what it names, wherever that is: no change of the service makes a log unreadable."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Sequence
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest
import xgboost as xgb

from credit_risk.contract.catalogue import Catalogue
from credit_risk.contract.policy import Policy, Rule, Rules
from credit_risk.deciding.log import DecisionLog
from credit_risk.model.store import StoredModel
from credit_risk.record.stream import RecordStream
from credit_risk.training.data import Dataset
from tests.deciders import CATALOGUE, ORIGIN, POLICY, decider_of, record_files, recording
from tests.models import another_booster, copy_with, editing, folder_of, seal
from tests.policies import ALL_RULES
from tests.replay.logs import cells, records_of, rewrite, run

STRICT = POLICY.model_copy(update={"cutoffs": POLICY.cutoffs.model_copy(update={"review_above": 0.1})})
POLICIES = (POLICY, STRICT, ALL_RULES)
CATALOGUES = (CATALOGUE, Catalogue(language="de", reasons={code: f"Grund {code}" for code in CATALOGUE.reasons}))
N, PART = 600, 50
SCHEMA_1 = Path(__file__).parent / "schema1"


@pytest.fixture(scope="module")
def other_booster(model: StoredModel, synthetic: Dataset) -> xgb.Booster:
    return another_booster(model, synthetic, seed=3)


@pytest.fixture
def other_model(model: StoredModel, other_booster: xgb.Booster) -> StoredModel:
    return copy_with(other_booster, model, "archived_model")


@pytest.fixture
def mixed(tmp_path: Path, model: StoredModel, other_model: StoredModel, synthetic: Dataset) -> Path:
    """A log of three policies, two catalogues and two models that took turns, as their workers left it."""
    folder = tmp_path / "decisions"
    combinations = [*product((model, other_model), POLICIES, CATALOGUES)]
    log = record_files(folder)
    for number, start in enumerate(range(0, N, PART)):
        using, policy, catalogue = combinations[number % len(combinations)]
        recording(using, synthetic.applications[start : start + PART], log, policy=policy, catalogue=catalogue)
    log.close()
    return folder


@pytest.fixture
def changed_since(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_model: StoredModel) -> None:  # noqa: ARG001 - on record
    """Since the log was written the service has got another policy and catalogue, and one of the models is gone."""
    for variable, content in (("POLICY", STRICT), ("REASONS", CATALOGUES[1])):
        file = tmp_path / f"{variable}.yaml"
        file.write_bytes(content.content)
        monkeypatch.setenv(f"CREDIT_RISK_{variable}", str(file))
    shutil.rmtree(folder_of(other_model).parent)


def archived(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / "archive" / kind).iterdir())


@pytest.mark.usefixtures("changed_since")
def test_each_decision_is_made_again_with_what_made_it(mixed: Path) -> None:
    assert [len(archived(mixed, kind)) for kind in ("policies", "catalogues", "models")] == [3, 2, 2]
    [file] = mixed.glob("*.ndjson")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(line for start in range(PART) for line in lines[start::PART]))  # in turns, line by line
    for named in (mixed, file):
        result = run(named)
        assert (result.exit_code, result.output) == (0, f"{N} decisions, all identical\n")
    assert {content["policy"] for content in records_of(file)} == {policy.sha256 for policy in POLICIES}


@pytest.mark.usefixtures("changed_since")
def test_an_archive_that_is_elsewhere_can_be_named(mixed: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (mixed / "archive").rename(elsewhere)
    result = run(mixed)
    assert result.exit_code == 1
    assert f"which is not in {mixed}/archive or {tmp_path}/POLICY.yaml: name the archive" in result.stderr
    assert run(mixed, "--archive", elsewhere).output == f"{N} decisions, all identical\n"


@pytest.mark.usefixtures("changed_since")
def test_a_model_or_a_catalogue_that_is_nowhere_is_named(mixed: Path) -> None:
    shutil.rmtree(mixed / "archive" / "models")
    assert "there is no model archived_model:copy in " in run(mixed).stderr
    shutil.rmtree(mixed / "archive" / "catalogues")
    assert f"catalogue {CATALOGUE.sha256}, which is not in {mixed}/archive or" in run(mixed).stderr


def test_another_model_of_the_same_tag_is_not_taken(mixed: Path, other_model: StoredModel) -> None:
    shutil.rmtree(mixed / "archive" / "models")
    assert run(mixed).output == f"{N} decisions, all identical\n"  # with the models of the store
    with editing(folder_of(other_model) / "model.yaml") as content:
        content["labels"]["from"] = "another machine"
    seal(folder_of(other_model))
    result = run(mixed)
    assert result.exit_code == 1
    assert "model archived_model:copy in the BentoML model store is another one than that of the same" in result.stderr
    assert other_model.digest in result.stderr


@pytest.mark.parametrize("kind", ["policies", "catalogues", "models"])
def test_what_was_changed_in_the_archive_is_not_taken(mixed: Path, kind: str) -> None:
    for path in archived(mixed, kind):
        changed = path / "saved_model.ubj" if kind == "models" else path
        changed.write_bytes(changed.read_bytes()[:-1] + b"]")
    result = run(mixed)
    assert result.exit_code == 1
    assert "was changed" in result.stderr
    assert "restore it" in result.stderr


def test_a_model_under_the_digest_of_another_is_not_taken(mixed: Path) -> None:
    one, other = archived(mixed, "models")
    shutil.rmtree(one)
    shutil.copytree(other, one)
    assert f"{one} was changed: the model's digest is not its name; restore it" in run(mixed).stderr


def test_a_reason_that_the_catalogue_has_no_text_for_is_named(mixed: Path) -> None:
    [file] = mixed.glob("*.ndjson")
    records = records_of(file)
    number = next(number for number, content in enumerate(records) if content["reasons"])
    records[number]["reasons"][0]["code"] = "R99"
    rewrite(file, records)
    result = run(mixed)
    assert f"{file}:{number + 1}: " in result.output
    assert "reasons: the catalogue has no text for R99" in result.output


def test_a_policy_that_this_version_can_not_read_is_for_the_image_that_decided(mixed: Path) -> None:
    content = b'{"cutoffs":{"of":"a later version"}}'
    name = sha256(content).hexdigest()
    (mixed / "archive" / "policies" / f"{name}.json").write_bytes(content)
    [file] = mixed.glob("*.ndjson")
    rewrite(file, [content | {"policy": name} for content in records_of(file)])
    assert f"policy {name}, which this version can't read: replay it with the image that" in run(mixed).stderr


def test_a_policy_stays_the_same_when_a_version_knows_more_rules() -> None:
    class MoreRules(Rules):
        another: Rule = Rule(enabled=False, outcome="MAYBE")

    class LaterPolicy(Policy):
        rules: MoreRules

    later = LaterPolicy.model_validate(POLICY.model_dump())
    assert later.sha256 == POLICY.sha256
    enabled = MoreRules(**(POLICY.rules.model_dump() | {"another": {"enabled": True, "outcome": "MAYBE"}}))
    assert LaterPolicy(cutoffs=POLICY.cutoffs, rules=enabled).sha256 != POLICY.sha256


def test_what_if_asks_of_each_line_what_is_not_named(mixed: Path, tmp_path: Path, model: StoredModel) -> None:
    file = tmp_path / "strict.json"
    file.write_bytes(STRICT.content)
    result = run(mixed, "--policy", file)
    assert result.exit_code == 0
    assert cells(result, "all anew")[0] == str(N)
    shutil.rmtree(mixed / "archive")
    assert cells(run(mixed, "--policy", file, "--model", model.tag), "all anew")[0] == str(N)


def stream_of(path: Path, model: StoredModel, policies: Sequence[Policy], synthetic: Dataset) -> None:
    with path.open("wb") as captured:
        log = DecisionLog(RecordStream(captured.fileno()))
        for policy in policies:
            decider = decider_of(model, policy=policy, log=log)
            asyncio.run(decider.decide_all([synthetic.applications[:100]], ORIGIN))


@pytest.mark.usefixtures("changed_since")
def test_a_stream_brings_its_policies_and_catalogues(tmp_path: Path, model: StoredModel, synthetic: Dataset) -> None:
    captured = tmp_path / "captured.ndjson"
    stream_of(captured, model, POLICIES, synthetic)
    assert run(captured).output == "300 decisions, all identical\n"
    assert run("-", stdin=captured.read_bytes()).output == "300 decisions, all identical\n"
    lines = captured.read_bytes().splitlines(keepends=True)
    captured.write_bytes(lines[0].replace(b"0.3", b"0.4") + b"".join(lines[1:]))
    assert f"{captured}:1 was changed: the policy is not the one of its sha256" in run(captured).stderr
    captured.write_bytes(b"".join(line for line in lines if b'"archive"' not in line))
    assert f"was decided by policy {POLICY.sha256}, which is not in" in run(captured).stderr


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A log of schema 1 as the version before wrote it, with the model that decided."""
    folder = tmp_path / "earlier"
    model = json.loads((SCHEMA_1 / "model" / "manifest.json").read_text())["digest"]
    shutil.copytree(SCHEMA_1 / "model", folder / "archive" / "models" / model)
    shutil.copy(SCHEMA_1 / "decisions-1.ndjson", folder)
    (folder / "archive" / "policies").mkdir()
    policy = Policy.model_validate_json((SCHEMA_1 / "policy.json").read_bytes())
    (folder / "archive" / "policies" / f"{policy.sha256}.json").write_bytes(policy.content)
    return folder


EARLIER = "Reasons and warnings of 60 decisions of an earlier version were not compared\n60 decisions, all identical\n"


def test_a_log_of_schema_1_is_replayed(earlier: Path) -> None:
    assert run(earlier).output == EARLIER


def test_a_log_of_schema_1_needs_the_policy_of_its_day_and_names_it_in_short(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [policy] = archived(earlier, "policies")
    monkeypatch.setenv("CREDIT_RISK_POLICY", str(policy.rename(tmp_path / "of-its-day.yaml")))
    assert run(earlier).output == EARLIER  # the service still has it
    file = tmp_path / "strict.yaml"
    file.write_bytes(STRICT.content)
    monkeypatch.setenv("CREDIT_RISK_POLICY", str(file))
    assert f"was decided by policy {policy.stem[:12]}, which is not in" in run(earlier).stderr


def test_a_model_of_an_earlier_version_is_replayed_without_a_manifest(earlier: Path) -> None:
    [model] = archived(earlier, "models")
    (model / "manifest.json").unlink()
    shutil.rmtree(model / "report")
    assert run(earlier).output == EARLIER
    booster = model / "saved_model.ubj"
    booster.write_bytes(booster.read_bytes()[:-1] + b"]")
    assert "is not what was saved: saved_model.ubj was changed; restore it" in run(earlier).stderr


@pytest.mark.parametrize("field", ["margin", "probability_of_default", "score", "status", "features"])
def test_a_record_of_schema_1_that_was_changed_is_found(earlier: Path, field: str) -> None:
    [file] = earlier.glob("*.ndjson")
    records = records_of(file)
    changes = {"status": "DECLINED", "features": "ff" + records[0]["features"][2:]}
    records[0][field] = changes.get(field) or records[0][field] + 1
    rewrite(file, records)
    result = run(earlier)
    assert result.exit_code == 1
    assert f"{file}:1: decision {records[0]['decision_id']}: {field}" in result.output
    assert result.output.endswith("60 decisions, 1 difference\n")


def test_the_model_of_an_earlier_version_is_taken_from_the_store_too(earlier: Path, model: StoredModel) -> None:
    [folder] = archived(earlier, "models")
    tag = records_of(next(earlier.glob("*.ndjson")))[0]["model"]
    stored = folder_of(model).with_name(tag.partition(":")[2])
    folder.rename(stored)
    assert run(earlier).output == EARLIER
    shutil.rmtree(stored)
    assert f"there is no model {tag} in {earlier}/archive or the BentoML model store" in run(earlier).stderr


def test_a_record_of_schema_2_names_everything_in_full(mixed: Path) -> None:
    [file] = mixed.glob("*.ndjson")
    record = records_of(file)[0]
    for changes in ({"policy": POLICY.version}, {"catalogue": CATALOGUE.version}, {"model_digest": None}):
        rewrite(file, [record | changes])
        fault = "a record of schema 2 has a model_digest, and the whole sha256 of policy and catalogue"
        assert fault in run(mixed).stderr


def test_a_digest_that_no_model_has_is_told(mixed: Path, model: StoredModel) -> None:
    [file] = mixed.glob("*.ndjson")
    rewrite(file, [records_of(file)[0] | {"model_digest": "0" * 64}])
    assert f"model {model.tag} in the BentoML model store is another one" in run(mixed).stderr


def test_a_model_that_this_version_can_not_explain_is_for_the_image_that_decided(
    mixed: Path, other_model: StoredModel
) -> None:
    """Of a record of schema 2 the reasons count, too."""
    with editing(folder_of(other_model) / "model.yaml") as content:
        del content["metadata"]["references"]
    seal(folder_of(other_model))
    digest = json.loads((folder_of(other_model) / "manifest.json").read_text())["digest"]
    [file] = mixed.glob("*.ndjson")
    ours = [content for content in records_of(file) if content["model"] == other_model.tag]
    rewrite(file, [content | {"model_digest": digest} for content in ours])
    result = run(mixed)
    assert result.exit_code == 1
    assert "archived_model:copy was saved by another version" in result.stderr
    assert f"it decided {file}:1: replay that with the image that decided" in result.stderr

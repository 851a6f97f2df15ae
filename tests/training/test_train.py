"""train.py through its command line, into model stores of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT, train


def versions(home: Path) -> list[Path]:
    return [path for path in home.glob("models/credit_risk_model/*") if path.is_dir()]


def booster(home: Path) -> bytes:
    [version] = versions(home)
    return (version / "saved_model.ubj").read_bytes()


def test_it_prints_both_models_side_by_side_with_spread(trained: str) -> None:
    assert "4455 synthetic applications, 27.41% defaulted" in trained
    for label in ("AUC", "KS", "Gini", "Brier score", "log loss", "calibration slope", "ECE"):
        [row] = [line for line in trained.splitlines() if f" {label} " in line]
        assert row.count("±") == 2
    assert "Saved credit_risk_model:" in trained


def test_the_same_data_and_seed_give_the_same_booster_byte_for_byte(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert train("--seed", seed, home=tmp_path / name).returncode == 0
    assert booster(tmp_path / "a") == booster(tmp_path / "b")
    assert booster(tmp_path / "a") != booster(tmp_path / "c")


def saved(version: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((version / "model.yaml").read_text())
    return content


@pytest.mark.parametrize(
    ("gate", "figure"),
    [(("--min-auc", "0.99"), "AUC 0.8343 is below"), (("--max-ece", "0.001"), "ECE 0.0092 is above")],
)
def test_the_release_gate_keeps_a_bad_model_out(tmp_path: Path, gate: tuple[str, str], figure: str) -> None:
    result = train(*gate, home=tmp_path)
    assert result.returncode == 1
    assert figure in result.stderr
    assert versions(tmp_path) == []


@pytest.mark.parametrize("option", ["--min-auc", "--max-ece"])
def test_the_release_gate_can_not_be_nan(tmp_path: Path, option: str) -> None:
    result = train(option, "nan", home=tmp_path)
    assert result.returncode == 2
    assert "it is not a number" in result.stderr
    assert versions(tmp_path) == []


def test_malformed_rows_are_listed_and_nothing_is_saved(tmp_path: Path) -> None:
    lines = (PROJECT / "data" / "applications.csv").read_text().splitlines()
    lines[5] = lines[5].replace(",", ",x", 1)
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join(lines))
    result = train("--data", str(broken), home=tmp_path / "home")
    assert result.returncode == 1
    assert "1 problem; nothing was saved" in result.stderr
    assert "line 6, column seniority" in result.stderr
    assert "Traceback" not in result.stderr
    assert versions(tmp_path / "home") == []


def test_protected_attributes_come_in_by_option_only(tmp_path: Path) -> None:
    assert train("--protected", "include", home=tmp_path).returncode == 0
    [version] = versions(tmp_path)
    assert {"age", "marital=married"} <= set(saved(version)["metadata"]["features"])
    assert saved(version)["labels"]["protected"] == "include"


def test_the_help_explains_every_option() -> None:
    text = train("--help").stdout
    for option in ("--data", "--data-source", "--protected", "--seed", "--min-auc", "--max-ece"):
        assert option in text
    assert "exit status is 1" in text


def test_the_real_rows_give_the_figures_that_are_promised(real_file: Path, tmp_path: Path) -> None:
    assert train("--data", str(real_file), home=tmp_path).returncode == 0
    [version] = versions(tmp_path)
    metadata = saved(version)["metadata"]
    mean = metadata["cross_validation"]["mean"]
    assert mean["auc"] >= 0.850
    assert 0.9 <= mean["calibration_slope"] <= 1.1
    assert mean["ece"] <= 0.025
    assert metadata["tutorial_cross_validation"]["mean"]["auc"] == pytest.approx(0.8425, abs=0.0015)
    assert metadata["data_source"] == "real"

"""`python -m deploy.model_server`: write what a model server needs to serve the model of the store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import xgboost as xgb

from credit_risk.contract.errors import ModelError
from credit_risk.model import LATEST
from credit_risk.model.store import StoredModel, load_model
from deploy.errors import DeployError

BOOSTER = "saved_model.ubj"
MOST_ROWS = 10_000  # of a request

TRITON = """backend: "fil"
max_batch_size: {rows}
input [{{ name: "input__0" data_type: TYPE_FP32 dims: [ {features} ] }}]
output [{{ name: "output__0" data_type: TYPE_FP32 dims: [ 1 ] }}]
instance_group [{{ kind: KIND_AUTO }}]
parameters [
  {{ key: "model_type" value: {{ string_value: "xgboost_json" }} }},
  {{ key: "output_class" value: {{ string_value: "false" }} }}
]
"""


@click.group()
def cli() -> None:
    """Serve the model of the store by a model server: docs/model-server.md leads through it."""


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--model", default=LATEST, show_default=True, help="Tag of the model in the BentoML store.")
@click.option(
    "--format",
    "server",
    type=click.Choice(["mlserver", "triton"]),
    default="mlserver",
    show_default=True,
    help="Server that it is for. The files for Triton's FIL backend are untested.",
)
def export(folder: Path, model: str, server: str) -> None:
    """Write a model of the store to FOLDER, as a model server reads it.

    FOLDER is then what `mlserver start FOLDER` or Triton's --model-repository takes. Export again after training, and
    start the model server anew: the service refuses to start with a server that has another model than the store.
    """
    try:
        stored = load_model(model)
    except ModelError as error:
        raise DeployError(str(error)) from None
    name = stored.tag.partition(":")[0]
    try:
        if server == "mlserver":
            _write_for_mlserver(folder, name, stored)
        else:
            name = f"{name}-{stored.version}"  # Triton's own versions are numbers
            _write_for_triton(folder / name, stored)
    except OSError as error:
        raise DeployError(f"{folder} can't be written: {error.strerror}") from None
    port = {"mlserver": 8080, "triton": 8000}[server]
    click.echo(
        f"Exported {stored.tag} to {folder}. With a server on this machine that serves it, start the service with:\n\n"
        f"    CREDIT_RISK_SCORING=v2+http://localhost:{port}/v2/models/{name}"
    )


def _write_for_mlserver(folder: Path, name: str, stored: StoredModel) -> None:
    model = folder / name
    model.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(stored.folder / BOOSTER, model / "model.ubj")
    _write_json(
        model / "model-settings.json",
        {
            "name": name,
            "implementation": "mlserver_xgboost.XGBoostModel",
            "inputs": [{"name": "rows", "datatype": "FP32", "shape": [-1, len(stored.encoder.names)]}],
            "parameters": {"uri": "./model.ubj", "version": stored.version},
        },
    )
    # Scoring takes less than handing the rows to another process would. MLServer's batching stays off, as it is by
    # default: the service sends whole batches.
    _write_json(folder / "settings.json", {"debug": False, "parallel_workers": 0})


def _write_for_triton(folder: Path, stored: StoredModel) -> None:
    version = folder / "1"
    version.mkdir(parents=True, exist_ok=True)
    xgb.Booster(model_file=stored.folder / BOOSTER).save_model(version / "xgboost.json")
    (folder / "config.pbtxt").write_text(TRITON.format(features=len(stored.encoder.names), rows=MOST_ROWS))


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    cli(prog_name="python -m deploy.model_server")

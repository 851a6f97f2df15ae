"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import click

from credit_risk.contract.errors import SettingError
from credit_risk.record.finding import seconds_of
from credit_risk.record.writer import OFF, STDOUT
from credit_risk.serving.settings import Settings, load_settings, variable_of

F = TypeVar("F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
AN_ID = "019a9f3c-6c1e-7bd3-8f5a-3f1f7a0c9a41"


class DecisionId(click.ParamType[str]):
    """The id of a decision, as answers have it."""

    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            seconds_of(value)
        except ValueError:
            return self.fail(f"it is a UUID of version 7 such as {AN_ID}, decision_id of the answer", param, ctx)
        return str(UUID(value))


class Share(click.FloatRange):
    """A FloatRange that also rejects NaN."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        return self.fail("it is not a number", param, ctx) if math.isnan(number) else number


POSITIVE_SHARE = Share(0, 1, min_open=True)


def model_option(command: F) -> F:
    """Add --model, with the service's model as the default."""
    return _setting_option("--model", "model", str, "TAG", "Tag of the model in the BentoML model store.")(command)


def policy_option(command: F) -> F:
    """Add --policy, with the service's policy as the default."""
    return _setting_option("--policy", "policy", PATH, "FILE", "File of the cutoffs and rules.")(command)


def reasons_option(command: F) -> F:
    """Add --reasons, with the service's catalogue as the default."""
    return _setting_option("--reasons", "reasons", PATH, "FILE", "File of the texts of reasons.")(command)


def margin_option(command: F) -> F:
    """Add --margin, what a loan earns."""
    text = "What a loan earns if it is paid back, as a share of the loan."
    return click.option("--margin", default=0.10, type=POSITIVE_SHARE, help=text)(command)


def lgd_option(command: F) -> F:
    """Add --lgd, what a loan loses."""
    text = "Loss given default: what a loan loses if it is not paid back, as a share of the loan."
    return click.option("--lgd", default=0.50, type=POSITIVE_SHARE, help=text)(command)


def own_log(settings: Settings) -> str:
    """Give the folder of the service's own log. Raises SettingError if it has none."""
    place = settings.decision_log
    if place in (OFF, STDOUT):
        what = "no decision is on record" if place == OFF else "the log went to standard output"
        raise SettingError(f"{what}, as CREDIT_RISK_DECISION_LOG is {place}: name the file or folder where a log is")
    return place


def _setting_option(flag: str, setting: str, kind: Any, metavar: str, text: str) -> Callable[[F], F]:
    return click.option(
        flag,
        setting,
        type=kind,
        metavar=metavar,
        default=lambda: getattr(load_settings(), setting),
        show_default=f"{variable_of(setting)}, or the service's own default",
        help=text,
    )


def log_option(command: F) -> F:
    """Add --log, with the service's own log as the default."""
    text = "Folder of the decision log.  [default: that of CREDIT_RISK_DECISION_LOG]"
    return click.option("--log", type=PATH, metavar="FOLDER", help=text)(command)


def supersedes_option(kind: str) -> Callable[[F], F]:
    """Add --supersedes."""
    return click.option(
        "--supersedes", type=DecisionId(), metavar="ID", help=f"Id of the {kind} that this one takes back."
    )

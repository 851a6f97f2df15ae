"""Decide applications in Python, as the service would. Nothing goes on record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa

from credit_risk.contract.answer import answer_of
from credit_risk.contract.application import FIELDS
from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.errors import DataError, InvalidRequestError
from credit_risk.contract.parsing import parse_application
from credit_risk.contract.policy import Policy, load_policy
from credit_risk.library.model import Model, load
from credit_risk.library.tables import arrow_of, is_dictionaries, like
from credit_risk.model.table import columns_of
from credit_risk.portfolio.blocks import json_of_value
from credit_risk.portfolio.checking import Chunk, Reject, check_table, rejects_of
from credit_risk.portfolio.readers import check_names
from credit_risk.portfolio.scoring import score_chunk
from credit_risk.serving.settings import load_settings

MOST_LISTED = 5  # faults in the text of an error; its `problems` hold all


@overload
def decide(
    model: Model | None, applications: Mapping[str, Any], policy: Policy | str | PathLike[str] | None = None
) -> dict[str, Any]: ...


@overload
def decide(
    model: Model | None, applications: Sequence[Mapping[str, Any]], policy: Policy | str | PathLike[str] | None = None
) -> list[dict[str, Any]]: ...


@overload
def decide(model: Model | None, applications: Any, policy: Policy | str | PathLike[str] | None = None) -> Any: ...


def decide(model: Model | None, applications: Any, policy: Policy | str | PathLike[str] | None = None) -> Any:
    """Decide applications, and give the decisions as what the applications came in, in the same order.

    >>> decide(load(), {"seniority": 3, "home": "owner", ...})["Status"]
    'APPROVED'
    >>> decide(None, frame)  # a DataFrame with the same index; None stands for the service's model

    A dictionary gives what the service answers, without a decision_id. A DataFrame or an Arrow table gives the columns
    that `python -m credit_risk score` adds; further columns are allowed. `policy` is a Policy or the path of a file, by
    default the service's. The texts of the reasons are the service's.

    Raises DataError that names the position and the field of each fault, but no value.
    """
    settings = load_settings()
    chosen = load(settings.model) if model is None else model
    terms = policy if isinstance(policy, Policy) else load_policy(Path(policy or settings.policy))
    single = isinstance(applications, Mapping)
    listed = single or is_dictionaries(applications)
    chunk = _parse([applications] if single else applications) if listed else _check(arrow_of(applications))
    scored = score_chunk(chunk, chosen._stored, terms, load_catalogue(settings.reasons))
    table = pa.table({name: cells for name, cells in scored.items() if name not in ("row", *chunk.passed)})
    if not listed:
        return like(applications, table)
    answers = [answer_of(row) for row in table.to_pylist()]
    return answers[0] if single else answers


def _parse(applications: Sequence[Mapping[str, Any]]) -> Chunk:
    """Parse dictionaries as the service parses the JSON of them."""
    valid, rejects = [], []
    for position, application in enumerate(applications):
        try:
            valid.append(parse_application(json.dumps(dict(application), default=_plain).encode()))
        except InvalidRequestError as error:
            rejects += rejects_of(position, error)
        except (TypeError, ValueError):
            rejects.append(
                (position, "", f"holds what JSON can't; give numbers, text and None for {', '.join(FIELDS)}")
            )
    _refuse(rejects)
    return Chunk(columns_of(valid), np.arange(len(valid)), {}, [])


def _check(table: pa.Table) -> Chunk:
    """Check the applications of a table."""
    check_names("the table of applications", table.column_names)
    chunk = check_table(table.select(FIELDS), np.arange(len(table)), [], json_of_value)
    _refuse(chunk.rejects)
    return chunk


def _refuse(rejects: list[Reject]) -> None:
    if not rejects:
        return
    problems = [f"position {position}, {field or 'as a whole'}: {fix}" for position, field, fix in rejects]
    listed = problems[:MOST_LISTED] + (["..."] if len(problems) > MOST_LISTED else [])
    raise DataError(f"no application was decided, because of {len(problems)} faults: {'; '.join(listed)}", problems)


def _plain(value: Any) -> Any:
    """Give a scalar of numpy as Python's own."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError

"""A job as callers see it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from credit_risk.contract.answer import answer_of
from credit_risk.jobs.files import JobFolder
from credit_risk.jobs.job import Job
from credit_risk.serving.routes import JOBS

PATH = JOBS


def document(job: Job) -> dict[str, Any]:
    """Describe a job, without what only workers need."""
    told: dict[str, Any] = {
        "id": job.id,
        "state": job.state,
        "rows": {"all": job.rows, "done": job.done, "refused": job.refused},
        "decisions": job.decisions,
        "rows_per_second": _rounded(job.rate),
        "seconds_left": _rounded(job.seconds_left),
        "created": _time(job.created),
        "started": _time(job.started),
        "ended": _time(job.ended),
        "error": job.error,
        "model": job.basis.model,
        "policy": job.basis.policy_version,
        "result": f"{PATH}/{job.id}/result" if job.state == "succeeded" else None,
        "rejects": f"{PATH}/{job.id}/rejects" if job.state in ("succeeded", "failed") and job.refused else None,
    }
    if job.notification is not None:
        told["callback"] = {
            "url": job.notification.url,
            "next_attempt": _time(job.notification.due),
            "attempts": [
                {"time": _time(attempt.time), "status": attempt.status, "fault": attempt.fault}
                for attempt in job.notification.attempts
            ],
        }
    return told


def message(job: Job) -> dict[str, Any]:
    """Describe a job that has ended, for a notification: the same at each attempt."""
    return {name: value for name, value in document(job).items() if name != "callback"}


def single_answer(folder: JobFolder) -> bytes:
    """Give the decision of a job of one application as /classify would have answered it."""
    row: dict[str, Any] = json.loads(folder.result("ndjson").read_bytes())
    further = {name: row[name] for name in ("decision_id", "reference") if name in row}
    return json.dumps({**answer_of(row), **further}, separators=(",", ":")).encode()


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1)


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")

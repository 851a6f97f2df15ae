"""The routes of the service that are decided by, and the names by which paths are counted."""

from __future__ import annotations

from collections.abc import Container

SINGLE = "/classify"
ROUTES = (SINGLE, "/classify_batch", "/classify_array", "/classify_table")
JOBS, JOB = "/jobs", "/jobs/{id}"  # the second for all paths of all jobs
DECISIONS, REVIEW, OUTCOME = "/decisions", "/decisions/{id}/review", "/decisions/{id}/outcome"
OTHER = "other"  # the route of what never had a known path


def route_of(path: str, known: Container[str]) -> str:
    """Name the route of a path, so that no id makes a route of its own."""
    route = path
    if path.startswith(f"{JOBS}/"):
        route = JOB
    elif path.startswith(f"{DECISIONS}/"):
        route = f"{DECISIONS}/{{id}}/{path.rpartition('/')[2]}"
    return route if route in known or route in ROUTES else OTHER

"""Features in a real Redis and a real MLServer behind the service at the same time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.conftest import serving
from tests.e2e.test_features import ON_FILE, run
from tests.neighbours.mlserver import running
from tests.neighbours.mlserver_outage import records_in
from tests.neighbours.test_mlserver import post
from tests.redis_server import redis_server

DECISIONS = 10_000
IN_A_BATCH = 1_000


def test_ten_thousand_decisions_are_replayed_with_both_off(exported: Path, synthetic: Any, tmp_path: Path) -> None:
    applications = [each.model_dump() for each in synthetic.applications]
    asked, rows = [], []
    for number in range(DECISIONS):
        application = applications[number % len(applications)]
        customer = {"customer": f"C-{number}"}
        rows.append(customer | {name: application[name] for name in ON_FILE})
        asked.append(customer | {k: v for k, v in application.items() if k not in ON_FILE or v is None})
    customers, decisions = tmp_path / "customers.ndjson", tmp_path / "decisions"
    customers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with redis_server() as store:
        run("features", "load", str(customers), "--strict", "--to", store.url)
        with (
            running(exported) as server,
            serving(
                CREDIT_RISK_FEATURES=store.url,
                CREDIT_RISK_SCORING=server.address,
                CREDIT_RISK_DECISION_LOG=str(decisions),
            ) as service,
        ):
            for begin in range(0, DECISIONS - 100, IN_A_BATCH):
                post(f"{service.url}/classify_batch", asked[begin : begin + IN_A_BATCH][: DECISIONS - 100 - begin])
            for single in asked[-100:]:
                post(f"{service.url}/classify", single)
    records = records_in(decisions)
    assert len(records) == DECISIONS
    assert {record.scored_by for record in records} == {server.address}
    assert {record.on_file.store for record in records if record.on_file} == {store.url}
    assert run("replay", str(decisions)) == "10,000 decisions, all identical\n"

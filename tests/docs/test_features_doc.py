"""The commands of docs/features.md, one after the other as a reader would run them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import httpx2

from tests.conftest import HOME, PROJECT
from tests.docs.test_readme import UNREPEATABLE, Reader

BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (PROJECT / "docs" / "features.md").read_text(), re.DOTALL)


def test_its_commands_lead_to_the_answer_that_is_shown(tmp_path: Path) -> None:
    load, serve, curl, update, check = [block for language, block in BLOCKS if language == "sh"]
    (shown,) = [json.loads(block) for language, block in BLOCKS if language == "json"]
    reader = replace(Reader.arriving(tmp_path), home=HOME / "bentoml")  # where a model is already
    assert reader.run(load) == "2 rows loaded into sqlite:///features.sqlite\n"
    server = reader.start(serve.replace("make serve", f"make serve PORT={reader.port}"))
    try:
        reader.wait_until_ready(server)
        answered = json.loads(reader.run(curl))
        assert {k: v for k, v in answered.items() if k not in UNREPEATABLE} == {
            k: v for k, v in shown.items() if k not in UNREPEATABLE
        }
        lacking = httpx2.post(
            f"http://127.0.0.1:{reader.port}/classify",
            json={"customer": "C-18", "time": 36, "amount": 1000, "price": 1500},
        ).json()
        assert lacking["Status"] in ("MAYBE", "DECLINED")
    finally:
        reader.stop(server)
    assert reader.run(update) == "2 rows loaded into sqlite:///features.sqlite\n"
    assert "2 customers" in reader.run(check)

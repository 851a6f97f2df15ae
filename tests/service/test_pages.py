"""The headers that pages carry, and documents beside them."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.corpus import SAMPLE

CONFINED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGES = {"/": "script-src 'self'", "/model-card": "style-src 'unsafe-inline'"}
OTHERS = (
    "/openapi.json",
    "/docs.json",
    "/schema.json",
    "/model-card.json",
    "/metrics",
    "/livez",
    "/static_content/swagger-ui.css",
    "/static_content/",
    "/nowhere",
    "/classify_batch",
)


@pytest.mark.parametrize("path", [*PAGES, *OTHERS])
def test_browsers_are_told_what_they_may_do(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy == CONFINED if path in OTHERS else PAGES[path] in policy
    assert set(CONFINED.split("; ")) <= set(policy.split("; "))
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"


def test_no_page_may_run_a_script_of_its_own_text_or_another_server(client: TestClient) -> None:
    for path in PAGES:
        policy = client.get(path).headers["content-security-policy"]
        scripts = [directive for directive in policy.split("; ") if directive.startswith("script-src")]
        assert "unsafe" not in " ".join(scripts)
        assert "//" not in policy


def test_a_decision_carries_none_of_them(client: TestClient) -> None:
    """They would cost the fast path, and are for pages."""
    assert set(client.post("/classify", json=SAMPLE).headers) == {"content-type", "x-request-id", "content-length"}


def test_unless_origins_are_set_other_pages_are_told_nothing(client: TestClient) -> None:
    asking = {"origin": "https://example.com", "access-control-request-method": "POST"}
    for answer in (client.post("/classify", json=SAMPLE, headers=asking), client.options("/classify", headers=asking)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]

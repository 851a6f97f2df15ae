"""The pages in a real browser, which enforces their Content-Security-Policy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.browser import Browser, browsing
from tests.e2e.conftest import Server

CLASSIFY = "document.querySelector('#operations-Decisions-classify {}')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def test_swagger_ui_decides_the_example(server: Server, browser: Browser) -> None:
    browser.open(server.url)
    for button in (".opblock-summary-control", ".try-out__btn", ".execute"):
        browser.wait_for(f"!!{CLASSIFY.format(button)}")
        browser.run(f"{CLASSIFY.format(button)}.click()")
    answers = CLASSIFY.format(".live-responses-table tbody")
    assert browser.wait_for(f"{answers}?.querySelector('.response-col_status')?.innerText") == "200"
    assert '"Status": "MAYBE"' in browser.run(f"{answers}.innerText")
    assert browser.run("document.querySelector('#swagger-ui .info .title').innerText").startswith("credit_risk")
    assert browser.complaints == []


def test_the_model_card_has_its_styles(server: Server, browser: Browser) -> None:
    browser.open(f"{server.url}/model-card")
    browser.wait_for("document.readyState == 'complete' && location.pathname == '/model-card'")
    of_the_page, of_a_plot = "document.body", "document.querySelector('svg use')"
    assert browser.run(f"getComputedStyle({of_the_page}).maxWidth") == "1088px"
    assert browser.run(f"getComputedStyle({of_a_plot}).strokeWidth") == "0.8px"
    assert browser.complaints == []


@pytest.mark.parametrize("path", ["/", "/model-card"])
def test_a_page_runs_no_script_but_its_own(server: Server, browser: Browser, path: str) -> None:
    browser.open(server.url + path)
    browser.wait_for(f"document.readyState == 'complete' && location.pathname == '{path}'")
    browser.run("window.script = document.createElement('script')")
    browser.run("script.textContent = 'window.injected = true'")
    browser.run("document.body.append(script)")
    assert browser.run("window.injected") is None
    assert "Content Security Policy" in browser.complaints[-1]

"""The pages for people, and the documents beside them."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from credit_risk.serving.http.browsers import content_security_policy

START_SWAGGER = 'SwaggerUIBundle({url: "./openapi.json", dom_id: "#swagger-ui", deepLinking: true})'
# BentoML's own page reports its visitors to a tag manager. This one reports nothing to anybody.
INDEX_PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Credit risk</title>
<link rel="stylesheet" href="./static_content/swagger-ui.css">
<div id="swagger-ui"></div>
<script src="./static_content/swagger-ui-bundle.js"></script>
<script>{START_SWAGGER}</script>
</html>
"""
INDEX_MAY = content_security_policy(
    f"script-src 'self' 'sha256-{b64encode(sha256(START_SWAGGER.encode()).digest()).decode()}'",
    "style-src 'self'",
    "img-src data:",
    "connect-src 'self'",
)
CARD_MAY = content_security_policy("style-src 'unsafe-inline'")  # plots have a style on most of their elements


def page_routes(openapi: dict[str, Any], report: Path) -> list[Route]:
    """Make the routes of Swagger UI, the OpenAPI document, and the model card in the folder `report`."""
    card, figures = (report / "model-card.html").read_bytes(), (report / "model-card.json").read_bytes()
    return [
        Route("/", lambda _: _page(INDEX_PAGE, INDEX_MAY)),
        *(Route(path, lambda _: JSONResponse(openapi)) for path in ("/openapi.json", "/docs.json")),
        Route("/model-card", lambda _: _page(card, CARD_MAY)),
        Route("/model-card.json", lambda _: Response(figures, media_type="application/json")),
    ]


def _page(content: str | bytes, may: str) -> HTMLResponse:
    return HTMLResponse(content, headers={"content-security-policy": may})

"""The pages for people, and the documents beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

# BentoML's own page reports its visitors to a tag manager. This one reports nothing to anybody.
INDEX_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Credit risk</title>
<link rel="stylesheet" href="./static_content/swagger-ui.css">
<div id="swagger-ui"></div>
<script src="./static_content/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "./openapi.json", dom_id: "#swagger-ui", deepLinking: true})</script>
</html>
"""


def page_routes(openapi: dict[str, Any], report: Path) -> list[Route]:
    """Make the routes of Swagger UI, the OpenAPI document, and the model card in the folder `report`."""
    card, figures = (report / "model-card.html").read_bytes(), (report / "model-card.json").read_bytes()
    return [
        Route("/", lambda _: HTMLResponse(INDEX_PAGE)),
        *(Route(path, lambda _: JSONResponse(openapi)) for path in ("/openapi.json", "/docs.json")),
        Route("/model-card", lambda _: HTMLResponse(card)),
        Route("/model-card.json", lambda _: Response(figures, media_type="application/json")),
    ]

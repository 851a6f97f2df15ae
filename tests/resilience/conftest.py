"""The servers of the end-to-end tests, which here are killed, filled, reloaded and asked the oddest things."""

from __future__ import annotations

from tests.e2e.conftest import _trained, server

__all__ = ["_trained", "server"]

"""The servers of the end-to-end tests, for what the docs say about one."""

from __future__ import annotations

from tests.e2e.conftest import _trained, server

__all__ = ["_trained", "server"]

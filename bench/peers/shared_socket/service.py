"""This service with the one listening socket that BentoML gives to all workers, to compare with."""

from __future__ import annotations

import service
from credit_risk.serving.bento import service as room

room.reserve_port = lambda: None  # type: ignore[attr-defined] # the parent listens itself, which workers notice and leave alone
svc = service.svc

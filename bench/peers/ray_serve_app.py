"""Ray Serve: validation by Pydantic, batches as it makes them, two replicas."""

from __future__ import annotations

import os
import signal

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from bench.peers.shared import InProcess
from credit_risk.contract.application import CreditApplication
from credit_risk.contract.decision import Decision


@serve.deployment(num_replicas=2, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5})
class Classify:
    """The deployment that its documentation has one write."""

    def __init__(self) -> None:
        self.model = InProcess.load()

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)  # type: ignore[untyped-decorator]
    async def decide(self, applications: list[CreditApplication]) -> list[Decision]:
        return self.model.decide(applications)

    async def __call__(self, request: Request) -> Response:
        application = CreditApplication.model_validate_json(await request.body())
        decision = await self.decide(application)
        return Response(decision.model_dump_json(), media_type="application/json")


if __name__ == "__main__":
    passed_on = {name: os.environ[name] for name in ("BENTOML_HOME", "PYTHONPATH")}
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": passed_on})
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Classify.bind(), route_prefix="/classify")  # type: ignore[attr-defined]
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()

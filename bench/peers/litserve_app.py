"""LitServe: validation by Pydantic, batches as it makes them.

It looks at annotations as they are, so they must not be put off until later.
"""

import os
from typing import Any

import litserve

from bench.peers.shared import InProcess
from credit_risk.contract.application import CreditApplication
from credit_risk.contract.decision import Decision


class Classify(litserve.LitAPI):
    """The API that its documentation has one write."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - its signature
        self.model = InProcess.load()

    def decode_request(self, request: CreditApplication, **_: Any) -> CreditApplication:
        return request

    def batch(self, inputs: list[CreditApplication]) -> list[CreditApplication]:
        return inputs

    def predict(self, inputs: list[CreditApplication], **_: Any) -> list[Decision]:
        return self.model.decide(inputs)

    def unbatch(self, output: list[Decision]) -> list[Decision]:
        return output

    def encode_response(self, output: Decision, **_: Any) -> dict[str, Any]:
        return output.model_dump()


if __name__ == "__main__":
    api = Classify(max_batch_size=64, batch_timeout=0.001, api_path="/classify")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=2)
    port = int(os.environ["PORT"])
    server.run(host="127.0.0.1", port=port, num_api_servers=2, log_level="warning", generate_client_file=False)

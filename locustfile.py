"""Users of the load test. Run `make load`, then choose kind, number and spawn rate at http://localhost:8089."""

from __future__ import annotations

import random
from pathlib import Path

from locust import HttpUser, between, task

from credit_risk.contract.application import EXAMPLE
from credit_risk.training.data import load_dataset

SAMPLE = EXAMPLE.model_dump()
APPLICATIONS = [
    application.model_dump()
    for application in load_dataset(Path(__file__).with_name("data") / "applications.csv").applications
]


class CreditRiskTestUser(HttpUser):
    """Posts the same application every time, as the tutorial's user does."""

    wait_time = between(0.01, 2)

    @task
    def classify(self) -> None:
        self.client.post("/classify", json=SAMPLE)


class ApplicantUser(HttpUser):
    """Posts random applications from data/, a mix like real traffic, and checks each answer."""

    wait_time = between(0.01, 2)

    @task
    def classify(self) -> None:
        with self.client.post("/classify", json=random.choice(APPLICATIONS), catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"the status is {response.status_code}: {response.text}")
                return
            decision = response.json()
            if decision.get("Status") not in ("APPROVED", "MAYBE", "DECLINED"):
                response.failure("the answer has no Status")
            elif not 0 <= decision.get("probability_of_default", -1) <= 1:
                response.failure("the answer has no probability of default")

"""Flask, the model in process: for gunicorn."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request
from pydantic import ValidationError

from bench.peers.shared import InProcess
from credit_risk.contract.application import CreditApplication

model = InProcess.load()
app = Flask(__name__)


@app.post("/classify")
def classify() -> tuple[Response, int]:
    try:
        application = CreditApplication.model_validate_json(request.get_data())
    except ValidationError as error:
        return jsonify(error=str(error)), 400
    return Response(model.decide([application])[0].model_dump_json(), mimetype="application/json"), 200

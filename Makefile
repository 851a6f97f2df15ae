# Every target sets up what it needs. `make help` lists them.
PYTHON ?= python3.11
VENV ?= .venv
PORT ?= 3000
DATA ?= data/applications.csv
ARGS ?=
TAG ?= credit_risk_classifier:latest
TO ?= ./
LOCK_OPTIONS := --quiet --upgrade --python-version 3.11 --no-emit-package nvidia-nccl-cu12 --custom-compile-command "make lock"
UV_VERSION := 0.13.8

BIN := $(VENV)/bin
export BENTOML_DO_NOT_TRACK := True
.DEFAULT_GOAL := help
.PHONY: help install serve train data test check bench lock load bento image container-test deploy-test export import rollback

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

install: $(VENV)/installed  ## Set up the virtual environment from requirements.txt

$(VENV)/uv:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed; install it, or name another 3.11: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# --no-deps: the lock names every package, and leaves out the 469 MB GPU library that xgboost asks for.
$(VENV)/installed: requirements.txt | $(VENV)/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV) --no-deps -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV) --no-deps -r requirements-dev.txt
	@touch $@

$(VENV)/installed-bench: requirements-bench.txt $(VENV)/installed
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV) --no-deps -r requirements-bench.txt
	@touch $@

serve: install  ## Train a model if there is none, and serve it on PORT (3000)
	@$(BIN)/bentoml models get credit_risk_model:latest >/dev/null 2>&1 || $(MAKE) --no-print-directory train
	$(BIN)/bentoml serve --production --port $(PORT)

train: install  ## Train on DATA (data/applications.csv) and save the model; ARGS="..." for more, see train.py --help
	$(BIN)/python train.py --data $(DATA) $(ARGS)

data: install  ## Download the public data set into data/CreditScoring.csv
	$(BIN)/python -m data.download

test: $(VENV)/installed-dev  ## Run the tests and print the coverage
	$(BIN)/python -m pytest --cov=credit_risk --cov-report=term-missing:skip-covered $(ARGS)

check: $(VENV)/installed-dev $(VENV)/installed-bench  ## Lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bento: install  ## Build the bento: the code, the model, the policy, the configuration
	@$(BIN)/bentoml models get credit_risk_model:latest >/dev/null 2>&1 || $(MAKE) --no-print-directory train
	$(BIN)/bentoml build

image: bento  ## Build the bento and make its container image with docker or podman; ARGS="--help" for more
	$(BIN)/python -m deploy.image $(ARGS)

export: install  ## Write the bento or model TAG to the file, folder/ or s3:// address TO, with its checksum
	@$(BIN)/python -m deploy.archive export $(TAG) $(TO)

import: install  ## Put the bento or model of the file or s3:// address FROM into the store, if its checksum is right
	@$(BIN)/python -m deploy.archive import $(FROM)

rollback: install  ## Serve the model before the latest on PORT, in place of what serves there; WHAT=bento the bento before
	@$(BIN)/python -m deploy.rollback --port $(PORT) $(if $(filter bento,$(WHAT)),--bento)
	$(BIN)/bentoml serve --production --port $(PORT) $(if $(filter bento,$(WHAT)),credit_risk_classifier:latest)

container-test: $(VENV)/installed-dev  ## Test the image in containers, with docker or podman
	$(BIN)/python -m pytest tests/container $(ARGS)

deploy-test: $(VENV)/installed-dev  ## Test deploying to an imitation of AWS, moving, returning, and the alerts in Prometheus
	$(BIN)/python -m pytest tests/deploy tests/observability $(ARGS)

load: install  ## Open locust's web UI on port 8089 against the service on PORT
	$(BIN)/locust --host http://localhost:$(PORT) $(ARGS)

bench: $(VENV)/installed-bench  ## Measure this service and its peers on this machine; needs wrk; about 20 minutes
	$(BIN)/python -m bench $(ARGS)

lock: $(VENV)/uv  ## Resolve the requirements files anew
	$(BIN)/uv pip compile $(LOCK_OPTIONS) pyproject.toml --output-file requirements.txt
	for extra in deploy dev bench; do \
	  $(BIN)/uv pip compile $(LOCK_OPTIONS) --extra $$extra --constraint requirements.txt pyproject.toml --output-file requirements-$$extra.txt; done
	$(BIN)/uv pip compile $(LOCK_OPTIONS) --constraint requirements.txt deploy/requirements.in --output-file deploy/requirements.txt

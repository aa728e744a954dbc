# Everything that one does with the course. The environment and the data are prerequisites: the first target that needs them makes them.

PYTHON ?= python3
ROOT ?= notebooks
VENV := .venv
BIN := $(VENV)/bin
DATA := $(if $(COURSE_DATA),$(COURSE_DATA),data)
# nbgrader, and a terminal in JupyterLab, look for the environment's programs on PATH
INSIDE := PATH="$(CURDIR)/$(BIN):$$PATH"
GRADER := $(INSIDE) grader
OLDEST_PYTHON := $(shell sed -n 's/^requires-python = ">=\(.*\)"/\1/p' pyproject.toml)
LAB_SETTINGS := $(VENV)/share/jupyter/lab/settings/overrides.json $(VENV)/etc/jupyter/labconfig/page_config.json $(VENV)/etc/ipython/ipython_config.py

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup sandbox lab progress update submit new watch student-bundle build check audit test portable grade demo test-faults bench feedback lock clean

help: ## Show this list
	@echo 'usage: make TARGET [LESSON="05 06"] [ARGS="..."]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.installed $(LAB_SETTINGS) $(DATA)/.unpacked sandbox ## Make the environment in .venv and unpack the data, where that is not done

lab: setup ## Open JupyterLab on notebooks/; on a server with ARGS="--no-browser --port 8888"
	$(INSIDE) jupyter lab --ServerApp.root_dir=$(ROOT) --LabApp.default_url=/lab/tree/welcome.ipynb $(ARGS)

progress: setup ## Show which exercises pass their checks
	$(GRADER) progress $(LESSON) $(ARGS)

update: setup ## Bring the newest edition of the notebooks, and your answers with it; FROM=folder takes answers from another copy
	$(GRADER) update $(if $(FROM),--from "$(FROM)") $(ARGS)

submit: setup ## Look at a notebook and write the file to hand in: make submit LESSON=05
	$(GRADER) submit $(LESSON) $(ARGS)

new: setup ## Begin a chapter: make new LESSON=27 TITLE="Graphs"
	$(GRADER) new $(LESSON) --title "$(TITLE)" $(ARGS)

watch: setup ## Build a chapter whenever its lesson is saved: make watch LESSON=27
	$(GRADER) watch $(LESSON) $(ARGS)

student-bundle: setup ## Write dist/deep-learning.zip for students: notebooks, data, environment, no solutions
	$(GRADER) bundle $(LESSON) $(ARGS)

build: setup ## Build the notebooks of the lessons that changed
	$(GRADER) build $(LESSON) $(ARGS)

check: setup ## Prove that the committed notebooks are what the sources say, and leak nothing
	$(GRADER) check $(LESSON) $(ARGS)

audit: setup ## Prove the checks: wrong answers caught, right ones accepted, mutants killed
	$(GRADER) audit $(LESSON) $(ARGS)

test: setup ## Run everything that CI runs
	$(GRADER) test $(LESSON) $(ARGS)

portable: setup ## Run the instructor notebooks as other processors would: without vector instructions, with two threads
	$(GRADER) portable $(LESSON) $(ARGS)

grade: setup ## Grade what lies in gradebook/submitted
	$(GRADER) grade $(LESSON) $(ARGS)

demo: setup ## Make a class of students and grade it from end to end
	$(GRADER) demo $(LESSON) $(ARGS)

test-faults: setup ## The long form of the tests that kill, fill and lock while grading runs
	GRADER_FAULTS=20 $(INSIDE) python -m pytest grader/tests/test_faults.py

bench: setup ## Time the engine beside stock nbgrader; half an hour, on a quiet machine
	$(INSIDE) python -m grader.bench.throughput $(ARGS)
	$(INSIDE) python -m grader.bench.memory

feedback: setup ## Write each student's feedback into gradebook/feedback
	$(GRADER) feedback $(LESSON) $(ARGS)

lock: ## Write requirements.lock anew from pyproject.toml; with ARGS="--upgrade" to the newest versions
	@command -v uv >/dev/null || { printf 'make lock needs uv\n    remedy: $(PYTHON) -m pip install uv\n'; exit 1; }
	UV_CUSTOM_COMPILE_COMMAND='make lock' uv pip compile pyproject.toml --universal --python-version $(OLDEST_PYTHON) \
		--no-annotate --no-emit-index-url --no-emit-find-links --quiet --output-file requirements.lock $(ARGS)

clean: ## Remove what was made here: the environment, the unpacked data, caches; notebooks and gradebook stay
	@if [ -x $(BIN)/grader ]; then $(GRADER) data --remove; fi
	rm -rf $(DATA)/.unpacked $(VENV) .grader grader.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -not -path './gradebook/*' -prune -exec rm -rf {} +

# The environment is made afresh for each new lock, and wherever making it was interrupted: nothing is ever half installed.
# Without --no-compile pip would spend half a minute on byte code, of which the first import makes what is used in 3 seconds.
$(VENV)/.locked: requirements.lock
	@command -v $(PYTHON) >/dev/null || { printf '$(PYTHON): not found\n    remedy: install Python %s or newer, or name one: make setup PYTHON=/path/to/python3\n' $(OLDEST_PYTHON); exit 1; }
	@$(PYTHON) tools/preflight.py machine $(VENV)
	@echo 'Making the environment in $(VENV); where the packages are not yet on this machine, 3.2 GB are downloaded.'
	$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python tools/preflight.py registry requirements.lock
	@$(BIN)/python -m pip install --no-compile --no-deps -r requirements.lock || { $(BIN)/python tools/preflight.py failed; exit 1; }
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@rm -f $@
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip check
	@touch $@

# What grading runs students' code in. Students need none, so nothing fails where it cannot be had; `make grade` says it again.
sandbox:
	@[ "$$(uname)" != Linux ] || command -v bwrap >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && apt-get install -q -y --no-install-recommends bubblewrap; \
	else echo 'Only to grade: bubblewrap is not installed (apt-get install bubblewrap).'; fi

$(VENV)/share/jupyter/lab/settings/%: lab/% $(VENV)/.installed
	@mkdir -p $(@D) && cp $< $@

$(VENV)/etc/jupyter/labconfig/%: lab/% $(VENV)/.installed
	@mkdir -p $(@D) && cp $< $@

$(VENV)/etc/ipython/%: lab/% $(VENV)/.installed
	@mkdir -p $(@D) && cp $< $@

$(DATA)/.unpacked: $(wildcard $(DATA)/SHA256SUMS $(DATA)/*/*/*.gz) | $(VENV)/.installed
	@rm -f $@
	$(GRADER) data
	@touch $@

# Everything that one does with the course. The environment and the data are prerequisites: the first target that needs them makes them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA := $(if $(COURSE_DATA),$(COURSE_DATA),data)
# nbgrader, and a terminal in JupyterLab, look for the environment's programs on PATH
INSIDE := PATH="$(CURDIR)/$(BIN):$$PATH"
GRADER := $(INSIDE) grader
OLDEST_PYTHON := $(shell sed -n 's/^requires-python = ">=\(.*\)"/\1/p' pyproject.toml)
# A `make` in a terminal of JupyterLab would take this one's arguments for its own.
LAB := env -u ARGS -u MAKEFLAGS -u MFLAGS -u MAKELEVEL $(INSIDE) jupyter lab --ServerApp.root_dir
COMPILE := UV_CUSTOM_COMPILE_COMMAND='make lock' uv pip compile --universal --python-version $(OLDEST_PYTHON) \
	--no-annotate --no-emit-index-url --no-emit-find-links --quiet

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Many a container sets it; without byte code every kernel and every command here takes seconds longer to start.
unexport PYTHONDONTWRITEBYTECODE
# Names and titles reach the command as they were typed, quotes, spaces, $ and backticks too: through the environment.
$(foreach name,FROM TITLE DUE ROSTER INTO,$(eval export GIVEN_$(name) = $$(value $(name))))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup sandbox lab formgrader progress update submit new watch student-bundle build check audit test test-browser setup-browser executed portable collect grade report export due release demo demo-class test-faults bench feedback lock clean

help: ## Show this list
	@echo 'usage: make TARGET [LESSON="05 06"] [ARGS="..."]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.installed $(VENV)/.lab $(DATA)/.unpacked sandbox ## Make the environment in .venv and unpack the data, where that is not done

lab: setup ## Open JupyterLab on notebooks/; on a server with ARGS="--no-browser --port 8888"
	@$(INSIDE) jupyter trust notebooks/*.ipynb notebooks/*/*.ipynb >/dev/null 2>&1 || true
	$(LAB)=notebooks --LabApp.default_url=/lab/tree/welcome.ipynb $(ARGS)

formgrader: setup ## Open JupyterLab on the whole course, for instructors: formgrader is in the menu Nbgrader
	JUPYTER_CONFIG_PATH="$(CURDIR)/lab/instructor:$$JUPYTER_CONFIG_PATH" $(LAB)=. $(ARGS)

progress: setup ## Show which exercises pass their checks
	@$(GRADER) progress $(LESSON) $(ARGS)

update: setup ## Bring the newest edition of the notebooks, and your answers with it; FROM=folder takes answers from another copy
	@$(GRADER) update $(if $(value FROM),--from "$$GIVEN_FROM") $(ARGS)

submit: setup ## Look at a notebook and write the file to hand in: make submit LESSON=05
	@$(GRADER) submit $(LESSON) $(ARGS)

new: setup ## Begin a chapter: make new LESSON=27 TITLE="Graphs"
	$(GRADER) new $(LESSON) --title "$$GIVEN_TITLE" $(ARGS)

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

test-browser: setup-browser ## Try the course as a student does, in Chromium; pictures of it are left in dist/screenshots
	$(INSIDE) python -m pytest -n 2 grader/browser_tests $(ARGS)

setup-browser: setup $(VENV)/.browser ## Install what test-browser needs: Playwright into .venv, and Chromium
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && apt-get install -q -y --no-install-recommends chromium; \
	else printf 'test-browser needs Chromium or Chrome\n    remedy: sudo apt-get install chromium (Fedora: dnf install chromium)\n'; exit 1; fi

executed: setup ## Run the instructor notebooks and keep them, with their figures, in dist/executed
	$(INSIDE) jupyter nbconvert --execute --to notebook --output-dir dist/executed --ExecutePreprocessor.timeout=600 solutions/*/*.ipynb $(ARGS)

portable: setup ## Run the instructor notebooks as other processors would: without vector instructions, with two threads
	$(GRADER) portable $(LESSON) $(ARGS)

release: setup ## Write one chapter for students to upload: make release LESSON=05 DUE="2026-11-30 23:59 +0100"
	@$(GRADER) release $(LESSON) $(if $(value DUE),"$$GIVEN_DUE") $(ARGS)

collect: setup ## Take what a class handed in: make collect FROM=submissions.zip LESSON=05 ROSTER=class.csv
	@$(GRADER) collect "$$GIVEN_FROM" $(LESSON) $(if $(value ROSTER),--roster "$$GIVEN_ROSTER") $(ARGS)

grade: setup ## Grade what lies in gradebook/submitted
	$(GRADER) grade $(LESSON) $(if $(ENGINE),--engine $(ENGINE)) $(ARGS)

due: setup ## Say when a chapter is due, or set it: make due LESSON=05 DUE="2026-11-30 23:59 +0100"
	@$(GRADER) due $(LESSON) $(if $(value DUE),"$$GIVEN_DUE") $(ARGS)

report: setup ## Write a page on the class: marks, exercises, which mistakes it makes, answers that resemble each other
	@$(GRADER) report $(LESSON) $(ARGS)

export: setup ## Fill the marks into Canvas's or Moodle's CSV: make export LESSON=05 INTO=grades.csv; without INTO, write JSON
	@$(GRADER) export $(LESSON) $(if $(value INTO),"$$GIVEN_INTO") $(ARGS)

demo: setup ## Grade a made-up class of twelve for each chapter, one of each kind of trouble
	$(GRADER) demo $(LESSON) $(ARGS)

demo-class: setup ## Take a made-up class of 200 from Canvas's archives to Canvas's CSV, by the way of an instructor
	$(GRADER) demo-class $(LESSON) $(ARGS)

test-faults: setup ## The long form of the tests that kill, fill and lock while grading runs
	GRADER_FAULTS=20 $(INSIDE) python -m pytest grader/tests/test_faults.py

bench: setup ## Time the engine beside stock nbgrader; half an hour, on a quiet machine
	$(INSIDE) python -m grader.bench.throughput $(ARGS)
	$(INSIDE) python -m grader.bench.memory

feedback: setup ## Write each student's feedback into gradebook/feedback
	$(GRADER) feedback $(LESSON) $(ARGS)

lock: ## Write requirements*.lock anew from pyproject.toml; with ARGS="--upgrade" to the newest versions
	@command -v uv >/dev/null || { printf 'make lock needs uv\n    remedy: $(PYTHON) -m pip install uv\n'; exit 1; }
	$(COMPILE) pyproject.toml --output-file requirements.lock $(ARGS)
	$(COMPILE) --group browser --constraints requirements.lock --output-file requirements-browser.lock $(ARGS)

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

$(VENV)/.browser: requirements-browser.lock $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --no-deps -r $<
	@touch $@

# What grading runs students' code in. Students need none, so nothing fails where it cannot be had; `make grade` says it again.
sandbox:
	@[ "$$(uname)" != Linux ] || command -v bwrap >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && apt-get install -q -y --no-install-recommends bubblewrap; \
	else echo 'Only to grade: bubblewrap is not installed (apt-get install bubblewrap).'; fi

$(VENV)/.lab: $(shell find lab/environment -type f) $(VENV)/.installed
	cp -R lab/environment/. $(VENV)
	@touch $@

$(DATA)/.unpacked: $(wildcard $(DATA)/SHA256SUMS $(DATA)/*/*/*.gz) | $(VENV)/.installed
	@rm -f $@
	$(GRADER) data
	@touch $@

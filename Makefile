# make demo   the four stages, on DSADS if data/DASADS holds it, else on synthetic data; ends with a table of metrics
# make serve  a server of the detector that make demo has trained
# make test   the tests
# make lint   ruff, mypy and the import contracts
# make docs   the documentation site, in docs/_build/html
# They need Python 3.10 to 3.13 and make, and install everything else into .venv, whatever environment is active.

unexport PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_USER
export PYTHONNOUSERSITE = 1
export KERAS_BACKEND = tensorflow

SUITABLE = import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach name,python3 python3.11 python3.12 python3.13 python3.10,\
	$(shell $(name) -c '$(SUITABLE)' 2>/dev/null && echo $(name))))
RUN := .venv/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check

ifneq ($(wildcard data/DASADS/a01),)
SOURCE := data/DASADS
DATA := data
NAME := amsl
RESULTS := results
else
SOURCE := data/synthetic/DASADS
DATA := data/synthetic
NAME := synthetic
RESULTS := results/synthetic
endif

.PHONY: demo serve test lint docs clean

demo: .venv/demo
ifeq ($(NAME),synthetic)
	@echo "data/DASADS does not hold DSADS (data/README.md has its source): writing synthetic data to $(SOURCE)"
	@$(RUN) -c "from pathlib import Path; from amsl_tf.datasets.synthetic import write_tree; write_tree(Path('$(SOURCE)'))"
endif
	.venv/bin/amsl preprocess --source $(SOURCE) --output $(DATA)/generate_dataset
	.venv/bin/amsl transform --input $(DATA)/generate_dataset --output $(DATA)/transform_dataset
	.venv/bin/amsl train --input $(DATA)/transform_dataset --detector saved_models/$(NAME) \
		--results $(RESULTS) --log-dir $(RESULTS)/tensorboard --preset compact
	.venv/bin/amsl evaluate --detector saved_models/$(NAME) --results $(RESULTS)
	@echo "curves:  .venv/bin/tensorboard --logdir $(RESULTS)/tensorboard"

# Exports if there is no version that is newer than the detector.
serve: .venv/serving
	@test -e saved_models/$(NAME)/config.json || $(MAKE) demo
	@test -n "$$(find saved_models/serving/$(NAME) -name model.json -newer saved_models/$(NAME)/config.json 2>/dev/null)" || \
		.venv/bin/amsl export --detector saved_models/$(NAME) --output saved_models/serving/$(NAME)
	.venv/bin/amsl serve --model saved_models/serving/$(NAME) --name amsl

test: .venv/test
	$(RUN) -m pytest -n 2 --dist loadfile

lint: .venv/test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	.venv/bin/lint-imports --no-logo

docs: .venv/test
	$(RUN) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "site: docs/_build/html/index.html"

clean:
	rm -rf .venv docs/_build data/synthetic saved_models/synthetic saved_models/serving/synthetic results/synthetic

# The package itself is installed in editable mode, with the dependencies of a command or of an extra.
.venv/demo: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.10 to 3.13 found; name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "installing the package into .venv with $(PYTHON)"
	@test -x $(RUN) || $(PYTHON) -m venv .venv
	@$(PIP) -e .
	@touch $@

.venv/serving .venv/test: .venv/demo
	@echo "installing the extra $(notdir $@) into .venv"
	@$(PIP) -e '.[$(notdir $@)]'
	@touch $@

# make demo   the four stages, on DSADS where data/DASADS holds it, else on synthetic data; ends with a table of metrics
# make serve  a server of the detector that make demo has trained
# make test   the tests
# make lint   ruff and mypy
# They need Python 3.10 to 3.13 and make; everything else goes into .venv, whatever environment is active.

unexport PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_USER
export PYTHONNOUSERSITE = 1
export KERAS_BACKEND = tensorflow

SUITABLE = import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach name,python3 python3.11 python3.12 python3.13 python3.10,\
	$(shell $(name) -c '$(SUITABLE)' 2>/dev/null && echo $(name))))
RUN := .venv/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check

# Real data take long: 8 epochs show what the method can do, the paper trains for 100.
ifneq ($(wildcard data/DASADS/a01),)
EPOCHS ?= 8
SOURCE := data/DASADS
DATA := data
NAME := amsl
RESULTS := results
else
EPOCHS ?= 3
SOURCE := data/synthetic/DASADS
DATA := data/synthetic
NAME := synthetic
RESULTS := results/synthetic
endif

.PHONY: demo serve test lint clean

demo: .venv/demo.txt
ifeq ($(NAME),synthetic)
	@echo "data/DASADS holds no DSADS (data/README.md says where to get it): making synthetic data in $(SOURCE)"
	@$(RUN) -c "from pathlib import Path; from amsl_tf.data.synthetic import write_tree; write_tree(Path('$(SOURCE)'))"
endif
	$(RUN) scripts/preprocessing.py --source $(SOURCE) --output $(DATA)/generate_dataset
	$(RUN) scripts/transformation.py --input $(DATA)/generate_dataset --output $(DATA)/transform_dataset
	$(RUN) scripts/train.py --input $(DATA)/transform_dataset --detector saved_models/$(NAME) \
		--results $(RESULTS) --log-dir $(RESULTS)/tensorboard --epochs $(EPOCHS)
	$(RUN) scripts/evaluate.py --detector saved_models/$(NAME) --results $(RESULTS)
	@echo "curves: .venv/bin/tensorboard --logdir $(RESULTS)/tensorboard"

# Exports where there is no version yet that is newer than the detector.
serve: .venv/serving.txt
	@test -e saved_models/$(NAME)/config.json || $(MAKE) demo
	@test -n "$$(find saved_models/serving/$(NAME) -name model.json -newer saved_models/$(NAME)/config.json 2>/dev/null)" || \
		$(RUN) scripts/export.py --detector saved_models/$(NAME) --output saved_models/serving/$(NAME)
	$(RUN) scripts/serve.py --model saved_models/serving/$(NAME) --name amsl

test: .venv/test.txt
	$(RUN) -m pytest -n 2 --dist loadfile

lint: .venv/test.txt
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

clean:
	rm -rf .venv data/synthetic saved_models/synthetic saved_models/serving/synthetic results/synthetic

.venv/demo.txt: requirements.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.10 to 3.13 is needed and was not found; name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "installing what the package needs into .venv with $(PYTHON)"
	@test -x $(RUN) || $(PYTHON) -m venv .venv
	@$(PIP) -r requirements.txt
	@cp $< $@

.venv/serving.txt: requirements-serving.txt .venv/demo.txt
	@echo "installing what serving needs into .venv"
	@$(PIP) -r requirements-serving.txt
	@cp $< $@

.venv/test.txt: requirements-test.txt requirements-baselines.txt requirements-serving.txt .venv/demo.txt
	@echo "installing what the tests need into .venv"
	@$(PIP) -r requirements-test.txt
	@cp $< $@

# A convenience only: README and CI name the commands themselves.
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: install test check examples accuracy lock serve

install: $(BIN)/pertoken

$(BIN)/pertoken: pyproject.toml requirements.lock
	python3.11 -m venv $(VENV)
	$(BIN)/pip install -c requirements.lock -e '.[dev]'

test: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Writes what the commands shown in the documents print now, and the essay with its plots.
examples: install
	$(BIN)/python -m tests.architecture.examples
	$(BIN)/python -m essay

# Judges the efficiencies on measured runs, which are not in the repository: DATA is a folder that holds
# measured/aggregated.csv, measured/disaggregated.csv and models/*.json. Rows by the other package are compared
# where COMPARED names what benchmarks/aiconfigurator_rows.py wrote.
accuracy: install
	$(BIN)/python -m benchmarks.accuracy --data $(DATA)/measured/aggregated.csv \
	    --pools $(DATA)/measured/disaggregated.csv --models $(DATA)/models \
	    $(if $(COMPARED),--aiconfigurator $(COMPARED))

serve: install
	$(BIN)/pertoken serve --init

# Pins every dependency, those of the tests included. Names no host and no local folder.
lock:
	$(BIN)/python -m pip install --upgrade pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --extra dev --extra plots --strip-extras --allow-unsafe \
	    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml

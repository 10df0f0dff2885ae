# A convenience only: README and CI name the commands themselves.
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: install test check examples lock serve

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

serve: install
	$(BIN)/pertoken serve --init

# Pins every dependency, those of the tests included. Names no host and no local folder.
lock:
	$(BIN)/python -m pip install --upgrade pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --extra dev --extra plots --strip-extras --allow-unsafe \
	    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml

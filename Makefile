PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint slow clean

demo: .venv/installed  ## the main job on bundled images, then its front
	$(BIN)/python -m nas.search --space pix --out runs/demo-$$(date +%Y%m%d-%H%M%S)
	$(BIN)/python -m nas.front "$$(ls -d runs/demo-* | tail -n 1)" --html runs/front.html

test: .venv/installed-test  ## the fast tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/installed-test  ## format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

slow: .venv/installed-test  ## the slow tests
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf .venv runs

.venv/installed: pyproject.toml setup.py constraints.txt $(wildcard search_spaces/kernels/source/*)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,timm,postgres]'
	touch $@

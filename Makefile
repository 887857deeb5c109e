# Two commands from a bare clone: `make demo` and `make test`. Both install what they need into .venv, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# a process on each core, of one thread each; what belongs to one file stays together
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile
TREE := $(VENV)/tree# the packages as they are installed, for mypy

.PHONY: demo test slow check format lint types doctests generated generate benchmarks lock tools clean

demo: $(READY)
	$(BIN)/rosetta demo --force

test: $(READY)
	$(TESTS) -m "not slow"

check: lint types test slow doctests generated

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	rm -rf $(TREE) && mkdir -p $(TREE)/rosetta
	ln -s "$(CURDIR)"/rosetta/* "$(CURDIR)/schemas" "$(CURDIR)/cli" $(TREE)/rosetta/
	cd $(TREE) && "$(CURDIR)/$(BIN)/mypy" --config-file "$(CURDIR)/pyproject.toml" -p rosetta

slow: $(READY)
	$(TESTS) -m slow

doctests: $(READY)
	$(BIN)/python -m pytest --doctest-modules rosetta schemas cli

generated: $(READY)
	$(BIN)/python -m tests.generated --check

generate: $(READY)
	$(BIN)/python -m tests.generated

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmarks: $(READY)
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.distill

# torch first and alone: what depends on it then finds it there, and fetches no other build; pythae, of which there is an
# example, without what it asks for: packages of old Pythons
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Rosetta needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps pythae==0.1.2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# after a change of dependencies: the newest versions that fit, torch held where it is
lock:
	rm -rf $(VENV)/lock && $(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet "$$(grep '^torch==' requirements.lock)" "setuptools>=77"
	$(VENV)/lock/bin/python -m pip install --quiet --no-build-isolation -e ".[dev]"
	$(VENV)/lock/bin/python -m pip freeze --exclude-editable --all | grep -v '^pip==' | sed 's/+cpu$$//' > requirements.lock
	rm -rf $(VENV)/lock

# readers in other languages are tested where their tools are: Debian's names for them
tools:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends hdf5-tools r-base-core r-cran-hdf5r r-cran-jsonlite r-cran-openssl
	npm ci --silent --no-audit --no-fund --prefix spec/readers

clean:
	rm -rf $(VENV) rosetta-demo build dist *.egg-info

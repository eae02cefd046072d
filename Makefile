# demo · playground · test · lint · bench · sanitize · arm · soak; each makes its own .venv when there is none. Needs Python 3.11 or newer, with
# venv, and a C++20 compiler for the native engine (without one everything works on the reference engine).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests run side by side: one thread each for the linear algebra underneath.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1

NATIVE := CMakeLists.txt $(wildcard native/*)

.PHONY: help demo playground test lint format bench accuracy sanitize arm fuzz soak clean

help:
	@echo "make demo    see the tutorial's network learn, then train on a real table"
	@echo "make playground  watch and steer a network in the browser (ARGS=\"table.csv --target y\")"
	@echo "make test    run every test"
	@echo "make lint    check format, style and types"
	@echo "make format  format the code"
	@echo "make bench   time training beside the peers (WORKLOADS=seed,expm PEERS=jax,torch narrow it)"
	@echo "make accuracy  errors on tables beside boosted trees and other networks (SETS=adult,letter PEERS=lightgbm SEEDS=1)"
	@echo "make fuzz    open a hundred thousand mutated model files: none may do more than be refused"
	@echo "make soak    threads, forks and signals at random over a few networks, for an hour (SECONDS=60)"
	@echo "make sanitize  run the native engine's tests under the address, undefined-behaviour and thread sanitizers"
	@echo "make arm     run the native engine's tests as a 64-bit Arm would, in an emulator (ARGS=\"-k pair\")"

demo: $(VENV)/.installed
	$(BIN)/nineline demo

playground: $(VENV)/.playing
	$(BIN)/nineline playground $(ARGS)

test: $(VENV)/.developing
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto $(ARGS)

lint: $(VENV)/.developing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.developing
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What the peers need is large, so it gets an environment of its own. Torch first: any other way of asking for it
# brings gigabytes that no processor needs.
BENCH := build/bench
bench: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks --workloads '$(WORKLOADS)' --peers '$(PEERS)' $(ARGS)
	$(if $(WORKLOADS),,$(BENCH)/bin/python -m benchmarks.stepping)
	$(if $(WORKLOADS),,$(BENCH)/bin/python -m benchmarks.estimators)
	$(if $(WORKLOADS),,$(BENCH)/bin/python -m benchmarks.c_export)

# Three seeds of everything take hours; what was found is kept in build/accuracy.jsonl, and not found again.
SEEDS := 3
accuracy: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks.accuracy --sets '$(or $(SETS),*)' --peers '$(or $(PEERS),*)' --seeds $(SEEDS) $(ARGS)

$(BENCH)/.installed: pyproject.toml $(NATIVE)
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BENCH)/bin/python -m pip install --quiet torch==2.13.0
	$(BENCH)/bin/python -m pip install --quiet --editable ".[bench]"
	touch $@

# The module is built anew for each, into an environment that finds everything else in .venv. What threads share is the
# same for every instruction set, so the one of this machine is enough there, and for a part of the tests.
ONE_LEVEL := -C cmake.define.NINELINE_X86=OFF -C cmake.define.CMAKE_CXX_FLAGS=-march=native
BUILT-address,undefined = $(if $(SANITIZED),$(ONE_LEVEL))
SANITIZED-address,undefined := tests/engines
# A network that answers while it trains, and whoever interrupts, meet the engine's writes on purpose.
BUILT-thread := $(ONE_LEVEL)
SANITIZED-thread := tests/engines/test_threads.py -k "not while_it_trains and not ctrl_c and not signal"
sanitize: sanitize-address,undefined sanitize-thread

sanitize-%: $(VENV)/.developing
	rm -rf build/sanitize-$*
	$(BIN)/python -m venv --without-pip build/sanitize-$*
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > $$(ls -d build/sanitize-$*/lib/python3*/site-packages)/developing.pth
	$(BIN)/python -m pip --python build/sanitize-$*/bin/python install --quiet --no-deps --ignore-installed -C cmake.define.NINELINE_SANITIZE=$* $(BUILT-$*) -C build-dir=build/sanitize-$*/build .
	$(ONE_THREAD) native/run_sanitized.sh $* build/sanitize-$*/bin/python -m pytest -p no:cacheprovider $(if $(SANITIZED),$(SANITIZED),$(SANITIZED-$*))

# The module is built for another machine, and so are the Python that loads it and what its tests import. Needs a Debian
# with g++-aarch64-linux-gnu and qemu-user. What forks, and what is interrupted every few milliseconds, is beyond an emulator.
ARM := build/arm
ARM_PYTHON := $(ARM)/python
ARM_PIP := $(BIN)/python -m pip install --quiet --upgrade --target $(ARM)/packages
arm: $(ARM)/.installed
	$(ONE_THREAD) $(ARM_PYTHON) -m pytest -n auto -p no:cacheprovider $(if $(ARGS),$(ARGS),tests/engines --ignore=tests/engines/test_processes.py --ignore=tests/engines/test_threads.py)

$(ARM)/.created: native/debian_for_arm.sh pyproject.toml $(VENV)/.created
	rm -rf $(ARM)
	native/debian_for_arm.sh $(ARM)
	$(ARM_PIP) --only-binary=:all: --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 --python-version $$($(ARM_PYTHON) -c "import sysconfig; print(sysconfig.get_python_version())") numpy scipy safetensors pytest pytest-xdist mpmath nanobind
	touch $@

$(ARM)/.installed: $(ARM)/.created $(NATIVE) $(wildcard src/nineline/*.py src/nineline/*/*.py)
	CXX=aarch64-linux-gnu-g++ CXXFLAGS="-idirafter $(CURDIR)/$(ARM)/debian/usr/include" SETUPTOOLS_EXT_SUFFIX=$$($(ARM_PYTHON) -c "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))") $(ARM_PIP) --no-deps -C build-dir=$(ARM)/build -C cmake.define.CMAKE_SYSTEM_NAME=Linux -C cmake.define.CMAKE_SYSTEM_PROCESSOR=aarch64 -C cmake.define.Python_EXECUTABLE=$(CURDIR)/$(ARM_PYTHON) -C cmake.define.Python_INCLUDE_DIR=$$($(ARM_PYTHON) -c "import sysconfig; print(sysconfig.get_path('include'))") .
	$(ARM_PYTHON) -c "from nineline.engines import _native; assert _native.levels() == ['neon']"
	touch $@

# A hundred thousand mutated model files, in some minutes (FUZZ=... for another number).
FUZZ := 100000
fuzz: $(VENV)/.developing
	NINELINE_FUZZ=$(FUZZ) $(ONE_THREAD) $(BIN)/python -m pytest -n auto -q tests/conformance/test_safe_to_open.py

# Threads, forks and signals, at random.
SECONDS := 3600
soak: $(VENV)/.developing
	$(ONE_THREAD) $(BIN)/python -m tests.soak --seconds $(SECONDS)

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.created:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'nineline needs Python 3.11 or newer; say which: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml $(NATIVE)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.playing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[playground]"
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

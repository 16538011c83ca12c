# Aether-lite: `make demo` on a fresh machine; `make help` for the rest.
#
# Everything lives in .venv. It is made and filled when it is missing or when pyproject.toml or constraints.txt
# has changed, otherwise left alone. Nothing asks a question.

PYTHON ?= python3
DEMO_ARGS ?=
TEST_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
# Benchmarks of speed and memory; none needs an argument.
SPEED := core features transmit vocoder realtime training soft_yin captured_step onnx_export metrics
# One thread for each process: the products are small, and two processes share the cores.
ONE_THREAD := OMP_NUM_THREADS=1
# Neighbours in a file share what is costly to make: each worker gets a half of the files and takes over at the end.
PYTEST := $(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist worksteal

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint docs web bench
.DELETE_ON_ERROR:

help: ## Show this list.
	@echo "Aether-lite. Commands:"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-15s %s\n", $$1, $$2}'
	@echo
	@echo "  DEMO_ARGS, TEST_ARGS: options passed on, such as  make demo DEMO_ARGS=\"--quick --channel mpp\""
	@echo "  PYTHON: the interpreter, 3.11 or newer, such as   make test PYTHON=python3.12"

demo: $(VENV)/.demo ## Set up, then send the bundled speech over noisy channels: sounds, pictures, a table.
	@echo "== Demo: bundled speech through the whole chain (about a minute; --quick is shorter)"
	$(BIN)/aether-lite demo $(DEMO_ARGS)
	@echo
	@echo "Next, in this shell:"
	@echo "  . $(BIN)/activate"
	@echo "  aether-lite demo --quick --channel mpp -o mpp   # some of it over a fading channel"
	@echo "  aether-lite transmit in.wav out.wav --snr 6     # your own recording"
	@echo "  aether-lite -h                                  # all commands"

test: lint ## Set up, then check style, types and behaviour (under five minutes on two cores).
	@echo "== Tests"
	$(PYTEST) -m "not slow" $(TEST_ARGS)

test-all: lint ## The same with slow tests; says which system tools are missing.
	@echo "== All tests"
	$(PYTEST) $(TEST_ARGS)

lint: $(VENV)/.dev ## Check style and types only.
	@echo "== Style"
	$(BIN)/ruff check .
	@echo "== Types"
	$(BIN)/mypy

docs: $(VENV)/.docs ## Build the documentation into site/; a broken link is an error.
	$(BIN)/mkdocs build --strict

web: $(VENV)/.demo ## Build the page that runs the codec in a browser into dist/web; `aether-lite web` serves it.
	@$(BIN)/python -c 'import ziglang' 2>/dev/null || $(PIP) install -c constraints.txt ziglang
	$(BIN)/python web/build.py

bench: $(VENV)/.dev ## Measure speed and memory (benchmarks/ has more, which take speech).
	@for name in $(SPEED); do \
	    echo "== benchmarks/$$name.py"; \
	    $(ONE_THREAD) $(BIN)/python benchmarks/$$name.py || exit 1; \
	done

$(VENV)/.demo: pyproject.toml constraints.txt
	$(environment)
	$(call install,.[demo])
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(environment)
	$(torch)
	$(call install,.[dev])
	@touch $(VENV)/.demo $@

$(VENV)/.docs: pyproject.toml constraints.txt
	$(environment)
	$(torch)
	$(call install,.[docs])
	@touch $@

# The environment if it is missing.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed, but $(PYTHON) is: $$($(PYTHON) --version 2>&1 | head -n 1)." >&2; \
	    echo "Install one and name it: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "== Making the environment $(VENV)"; $(PYTHON) -m venv $(VENV); } || { \
	    echo "Python's venv module does not work (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
endef

# Training, bench and export need torch. On Linux PyPI's own is a build for NVIDIA GPUs. An index that has the CPU build is
# preferred, but not needed.
define torch
	@echo "== Installing PyTorch for the CPU (about 200 MB to download the first time)"
	@$(PIP) install -c constraints.txt "torch==$(TORCH)+cpu" 2>/dev/null || { \
	    echo "== pip's index has no CPU build of PyTorch $(TORCH). Installing the index's own build."; \
	    echo "   On Linux that is one for NVIDIA GPUs: several GB to download and store. To avoid it, interrupt and run"; \
	    echo "   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make $(or $(MAKECMDGOALS),demo)"; \
	    $(PIP) install -c constraints.txt torch; }
endef

# $(call install,REQUIREMENT): this package.
define install
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || { \
	    echo "== No C compiler on this machine: installing the one of the package ziglang"; \
	    $(PIP) install -c constraints.txt ziglang; }
	@echo "== Installing $(1) and what it needs"
	@$(PIP) install -c constraints.txt -e "$(1)"
endef

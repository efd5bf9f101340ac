# The front door. Every target only calls the tools; `make help` lists them.
.POSIX:
.SUFFIXES:

PYTHON = .venv/bin/python
SUDO = $$(test "$$(id -u)" -eq 0 || echo sudo -E)

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {gsub(/[$$][$$]/, "$$", $$2); printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: setup venv ## stand up control site and federated sites, run work on each
	@$(MAKE) --no-print-directory -j 3 tools host-image images
	@$(PYTHON) -m flows deploy

# What an earlier run left joined leaves first: only a new site's join can be judged.
NEWCOMER = pl
GENTLE = tests/faults/test_checks_can_fail.py tests/faults/test_leaving.py
QUIET = F1 F2 F3 F4 F5 F6 F8 F9 N1 N2 N3 N4 N5 N6 N7 N8 N9 W1 W6 J0 J1 J2 J3 J4.held R1.keys I5

test: setup venv ## everything that checks the project, the demo federation included
	@$(MAKE) --no-print-directory lint
	@test ! -f inventories/$(NEWCOMER)/hosts.yml || $(MAKE) --no-print-directory retire SITE=$(NEWCOMER)
	@$(MAKE) --no-print-directory demo
	@$(MAKE) --no-print-directory join-demo SITE=$(NEWCOMER)
	@$(PYTHON) -m flows verify $(QUIET)
	@$(PYTHON) -m pytest tests/unit tests/contract tests/engine $(GENTLE)

test-faults: demo ## break more of the real thing: machines, disks, leaders, flows; then all checks; half an hour
	@test -f inventories/$(NEWCOMER)/hosts.yml || $(MAKE) --no-print-directory join-demo SITE=$(NEWCOMER)
	@$(PYTHON) -m pytest tests/faults $(GENTLE:%=--ignore=%)
	@$(MAKE) --no-print-directory verify

verify: venv ## acceptance checks against the running federation; ONLY="N4 W1" runs some
	@$(PYTHON) -m flows verify $(ONLY)

join-demo: venv ## have site pl join the running federation, under probes; SITE=name for another
	@$(PYTHON) -m flows join $${SITE:-pl}

retire: venv ## take a site out of the federation and remove its machines: SITE=name
	@$(PYTHON) -m flows retire $${SITE:?name a site: make retire SITE=pl}

down: venv ## remove everything that demo and join-demo made
	@$(PYTHON) -m flows down

inventory: venv ## write a site's inventory from its stack: SITE=name
	@(eval "$$($(PYTHON) -m flows env)"; cd infra/programs/site && \
	  pulumi stack output --json --stack $${SITE:?name a site: make inventory SITE=es}) | \
	  $(PYTHON) -m infra.inventory $(SITE)

env: venv ## print what a shell needs: eval "$$(make -s env)"; with SITE=name also for its engines
	@$(PYTHON) -m flows env $(SITE)

setup: ## install missing Debian packages, start Docker where nothing runs it
	@sh tools/setup.sh

venv: ## make .venv from requirements.lock; nothing to do when it is current
	@sh tools/venv.sh

tools: venv ## get the pinned engines: from PATH, release archives or a build
	@$(PYTHON) -m tools

host-image: venv ## make the image of a local machine
	@$(SUDO) $(PYTHON) -m tools host-image

images: venv ## make the demo's container image
	@$(PYTHON) -m tools images

lint: venv ## static checks, the same as pre-commit and .ci/run
	@PATH="$$PWD/.venv/bin:$$PATH" .venv/bin/pre-commit run --all-files

bench: venv ## measure what the project promises; FROM_NOTHING=1 stands the demo up anew
	@$(PYTHON) tests/bench/bench_tosca.py
	@$(PYTHON) -m flows.bench $${FROM_NOTHING:+--from-nothing}

lock: venv ## bring requirements.lock up to date with pyproject.toml
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11.0 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --group dev \
	  --output-file requirements.lock pyproject.toml

.PHONY: help demo test test-faults verify join-demo retire down inventory env setup venv tools host-image images lint \
  bench lock

# Every target is one line; what it does is in Python, behind the command line `vitric` (vitric --help).

PYTHON ?= python3
CONFIG ?= digits
BOARD  ?= ulx3s
SEED   ?=
IMAGES ?=
WAVES  ?=
TESTS  ?= tests
UNIT   ?= mac
VITRIC := .venv/bin/vitric

.DEFAULT_GOAL := help
.PHONY: help setup sim test docs-test formal mutate bitstream program train demo report doctor bench-units release clean

help:  ## show this
	@echo "make TARGET [CONFIG=$(CONFIG)] [BOARD=$(BOARD)] [SEED=n] [IMAGES=n] [WAVES=1]"
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14 | sed 's/^/  /'

setup:  ## make .venv with the locked versions (every other target does this first)
	@$(PYTHON) toolchain/bootstrap.py

sim: setup  ## run test images through the generated hardware in Verilator and compare with golden
	@$(VITRIC) sim --config $(CONFIG) $(if $(SEED),--seed $(SEED)) $(if $(IMAGES),--images $(IMAGES)) $(if $(WAVES),--waves)

test: setup  ## run the whole test suite; TESTS=path runs a part of it
	@.venv/bin/python -m pytest -n auto --dist worksteal $(TESTS)

docs-test: setup  ## run every example of the pages, the slow ones too: hours
	@.venv/bin/python -m docs.snippets --slow

formal: setup  ## prove properties of the hardware for every input
	@$(VITRIC) formal --jobs 2

mutate: setup  ## for developers of units: plant faults in UNIT, count those that its bench catches
	@$(VITRIC) mutate $(UNIT)

bitstream: setup  ## synthesize, place and route: writes a .bit and a report
	@$(VITRIC) bitstream --config $(CONFIG) --board $(BOARD) $(if $(SEED),--seed $(SEED))

program: setup  ## load the bitstream into the board
	@$(VITRIC) program --config $(CONFIG) --board $(BOARD)

train: setup  ## train a float ViT
	@$(VITRIC) train --config $(CONFIG) $(if $(SEED),--seed $(SEED))

demo: setup  ## show the hardware in a browser: draw, see what it makes of it
	@$(VITRIC) demo --config $(CONFIG)

report: setup  ## write one page of HTML from what sim, quantize and bitstream left
	@$(VITRIC) report --config $(CONFIG)

bench-units: setup  ## measure every unit on every device: docs/units/figures.md (long; goes on where it was)
	@.venv/bin/python -m bench.units

release: setup  ## pack the bitstreams that are in build/ into an archive; BUILD=1 makes those that are not (hours)
	@.venv/bin/python -m bench.release $(if $(BUILD),--build)

doctor: setup  ## show each tool, its version and where it came from
	@$(VITRIC) doctor

clean:  ## remove build/, and nothing else
	rm -rf build

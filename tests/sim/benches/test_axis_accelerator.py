from dataclasses import replace

import pytest
from vitric.integration import axis_accelerator
from vitric.integration.axis_accelerator import AxisAccelerator, Outcome
from vitric.integration.registers import REGISTERS
from vitric.sim.benches.axis_accelerator import SPEC
from vitric.sim.runner import BenchFailure, run_bench


def bench(folder, **options):
    return run_bench(
        AxisAccelerator(SPEC), test_module="vitric.sim.benches.axis_accelerator", build_dir=folder, **options)


def test_behind_axi(tmp_path):
    assert len(bench(tmp_path).tests) == 17


class EarlyLast(Outcome):
    """A planted fault: every logit is said to be the last one when it has to wait."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.packet_last.eq(~self.logits.valid | ~self.packet.ready)
        return m


def moved():
    """A planted fault: cycles and inferences have each other's address."""
    places = {"cycles": "inferences", "inferences": "cycles"}
    addresses = {one.name: one.address for one in REGISTERS}
    return tuple(replace(one, address=addresses[places.get(one.name, one.name)]) for one in REGISTERS)


@pytest.mark.parametrize(("name", "fault", "tests"), [
    ("Outcome", EarlyLast, r"logits_are_goldens/pattern=random"), ("REGISTERS", moved(), "registers_tell_what_it_is"),
])
def test_planted_faults_are_found(tmp_path, monkeypatch, name, fault, tests):
    monkeypatch.setattr(axis_accelerator, name, fault)
    with pytest.raises(BenchFailure) as caught:
        bench(tmp_path, test_filter=tests)
    assert len(caught.value.failed) == 1

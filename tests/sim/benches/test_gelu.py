import pytest
from vitric.golden.spec.requantize import TableSpec
from vitric.hdl.activation.gelu import Gelu
from vitric.sim.parameters import environment
from vitric.sim.runner import BenchFailure, run_bench


def bench(spec, folder, dut=None, **options):
    return run_bench(
        dut or Gelu(spec, tag_bits=spec.index_bits), test_module="vitric.sim.benches.gelu", build_dir=folder,
        extra_env=environment(spec), **options)


def test_gelu(tmp_path):
    assert len(bench(TableSpec(lanes=3, index_bits=8, out_bits=7), tmp_path).tests) == 25


class Passing(Gelu):
    """Gives the index instead of the entry."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        for lane in range(self.spec.lanes):
            m.d.comb += self.o.p.y[lane].eq(self.i.p.index[lane])
        return m


def test_bench_can_fail(tmp_path):
    spec = TableSpec(lanes=2, index_bits=4, out_bits=4)
    with pytest.raises(BenchFailure) as caught:
        bench(spec, tmp_path, Passing(spec, tag_bits=4), test_filter="source=always/sink=always")
    assert len(caught.value.failed) == 1

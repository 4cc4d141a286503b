import pytest
from vitric.golden.spec.softmax import SoftmaxSpec
from vitric.hdl.softmax import Softmax
from vitric.sim.parameters import environment
from vitric.sim.runner import BenchFailure, run_bench


def bench(spec, folder, dut=None, **options):
    return run_bench(
        dut or Softmax(spec), test_module="vitric.sim.benches.softmax", build_dir=folder,
        extra_env=environment(spec), **options)


@pytest.mark.parametrize("spec", [
    SoftmaxSpec(lanes=4, max_length=65), SoftmaxSpec(lanes=3, max_length=20, out_bits=5, kind="log_sqrt2"),
    SoftmaxSpec(lanes=2, max_length=20, out_bits=4, kind="twin_uniform", twin_shift=4, columns=2),
    SoftmaxSpec(lanes=2, max_length=41, columns=4),
], ids=lambda spec: f"{spec.kind}_{spec.columns}")
def test_softmax(spec, tmp_path):
    assert len(bench(spec, tmp_path).tests) == 28


class Louder(Softmax):
    """The sum of lane 0 takes each score for one octave more than it is."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        x = self.i.p.x[0][0]
        m.d.comb += m.submodules.row_sum.i.p.x[0][0].eq(x + (1 << self.spec.frac_bits))
        return m


def test_bench_can_fail(tmp_path):
    spec = SoftmaxSpec(lanes=2, max_length=16)
    with pytest.raises(BenchFailure) as caught:
        bench(spec, tmp_path, Louder(spec), test_filter="source=always/sink=always")
    assert len(caught.value.failed) == 1

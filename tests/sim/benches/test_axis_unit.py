from vitric.golden.spec.softmax import SoftmaxSpec
from vitric.hdl.softmax import Softmax
from vitric.integration.axis_unit import AxisUnit
from vitric.sim.parameters import environment
from vitric.sim.runner import run_bench


def test_softmax_behind_axi(tmp_path):
    spec = SoftmaxSpec(lanes=3, max_length=16)  # 3 codes of 8 bits fill 3 bytes, 3 scores and the rest do not
    result = run_bench(AxisUnit(Softmax(spec)), test_module="vitric.sim.benches.axis_unit", build_dir=tmp_path,
                       extra_env=environment(spec))
    assert len(result.tests) == 25

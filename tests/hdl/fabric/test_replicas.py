# amaranth: UnusedElaboratable=no
import pytest
from amaranth.hdl import Fragment, Instance
from amaranth.sim import Simulator
from vitric.hdl.fabric.replicas import Replicas


def simulate(dut, testbench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize(("copies", "width", "enable"), [(1, 1, False), (3, 5, False), (4, 2, True)])
def test_every_copy_follows(copies, width, enable):
    dut = Replicas(copies, width=width, enable=enable)

    async def testbench(ctx):
        kept = 0
        for step, value in enumerate([1, (1 << width) - 1, 0, 1]):
            ctx.set(dut.d, value)
            en = not enable or step % 2 == 0
            if enable:
                ctx.set(dut.en, en)
            await ctx.tick()
            kept = value if en else kept
            assert [ctx.get(dut.q) >> n * width & (1 << width) - 1 for n in range(copies)] == [kept] * copies

    simulate(dut, testbench)


def test_ecp5_has_a_cell_for_each_bit_of_each_copy():
    def cells(fragment):
        own = [fragment.type] if isinstance(fragment, Instance) else []
        return own + [name for sub, *_ in fragment.subfragments for name in cells(sub)]

    assert cells(Fragment.get(Replicas(3, width=5, fabric="ecp5"), None)) == ["TRELLIS_FF"] * 15
    assert cells(Fragment.get(Replicas(3, width=5, fabric="gowin"), None)) == []


@pytest.mark.parametrize(("options", "message"), [
    ({"copies": 0}, "copies must be between 1 and 4096, not 0"), ({"copies": 1, "width": 0}, "width must be between"),
    ({"copies": 1, "fabric": "tpu"}, "fabric must be one of 'generic', 'ecp5', 'ice40', 'gowin', not 'tpu'"),
])
def test_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        Replicas(**options)

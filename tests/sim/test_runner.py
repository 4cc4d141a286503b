import pytest
from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.errors import UserError
from vitric.sim.runner import BUILD, BenchFailure, build_model, run_bench
from vitric.toolchain import bootstrap

MODULE = "tests.sim.bench_runner"


class AddOne(wiring.Component):
    """A queue of three signed lanes that adds one to each; ``bug`` plants a fault."""

    def __init__(self, bug=None):
        self.bug = bug
        super().__init__({
            "i": In(stream.Signature(data.ArrayLayout(signed(4), 3))),
            "o": Out(stream.Signature(data.ArrayLayout(signed(5), 3))),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=12, depth=4)
        lanes = data.View(self.i.payload.shape(), queue.r_data)
        m.d.comb += [
            queue.w_data.eq(self.i.payload.as_value()),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            Cat(self.o.payload[k] for k in range(3)).eq(Cat((lanes[k] + 1)[:5] for k in range(3))),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
        ]
        tick = Signal(4)
        m.d.sync += tick.eq(tick + 1)
        if self.bug == "value":
            m.d.comb += self.o.payload[1].eq(lanes[1])
        if self.bug == "valid drops":
            m.d.comb += [self.o.valid.eq(queue.r_rdy & tick.any()), queue.r_en.eq(self.o.ready & tick.any())]
        if self.bug == "payload changes":
            m.d.comb += self.o.payload[0].eq(lanes[0] + 1 + (tick[3] & ~self.o.ready))
        if self.bug == "takes junk":
            m.d.comb += queue.w_en.eq(self.i.valid | (tick == 15))
        if self.bug == "loses one":
            m.d.comb += queue.r_en.eq(self.o.ready | (tick == 3))
        return m


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("add one")  # make has no spaces in names


def run(bug, folder, **options):
    return run_bench(
        AddOne(bug), test_module=MODULE, build_dir=folder, extra_env={"BENCH_WORD": "hello"}, seed=5, **options
    )


def test_passes_and_keeps_the_build(folder, monkeypatch):
    for name in ("COCOTB_TEST_FILTER", "COCOTB_RANDOM_SEED", "SIM_CMD_PREFIX", "MAKEFLAGS", "VERILATOR_ROOT", "WAVES"):
        monkeypatch.setenv(name, "1")
    first = run(None, folder)
    assert len(first.tests) == 25 + 2
    assert not list(folder.glob("dump.*"))
    executable = folder / BUILD / "top"
    built = executable.stat().st_mtime_ns
    again = run(None, folder, test_filter="environment_arrives")
    assert again.tests == (f"{MODULE}.environment_arrives",)
    assert executable.stat().st_mtime_ns == built
    run(None, folder, test_filter="environment_arrives", build_args=["-DCHANGED=1"])
    assert executable.stat().st_mtime_ns != built


@pytest.mark.parametrize(
    ("bug", "reason"),
    [
        ("value", "expected"),
        ("valid drops", "valid went low"),
        ("payload changes", "payload changed from"),
        ("takes junk", "expected"),
        ("loses one", "expected"),
    ],
)
def test_catches_planted_bug(bug, reason, tmp_path):
    with pytest.raises(BenchFailure) as caught:
        run(bug, tmp_path, test_filter="source=random/sink=random|environment_arrives")
    assert [name for name in caught.value.failed if "adds_one" not in name] == []
    assert reason in " ".join(caught.value.failed.values())
    assert str(tmp_path) in str(caught.value) and "\n" not in caught.value.summary


def test_no_test_is_a_failure(folder):
    with pytest.raises(BenchFailure, match="has no test that matches nothing_at_all"):
        run(None, folder, test_filter="nothing_at_all")


def test_missing_module_is_a_failure(folder):
    with pytest.raises(BenchFailure, match="without results|no test"):
        run_bench(AddOne(), test_module="tests.sim.not_there", build_dir=folder)


def test_broken_verilog_is_a_failure(tmp_path):
    source = tmp_path / "broken.v"
    source.write_text("module top(input clk); assign = ; endmodule\n")
    with pytest.raises(BenchFailure, match="building top with Verilator failed") as caught:
        run_bench(source, test_module=MODULE, build_dir=tmp_path / "build")
    assert "syntax error" in str(caught.value)
    assert "syntax error" in caught.value.summary and "\n" not in caught.value.summary


def test_an_interrupted_build_starts_again(tmp_path):
    source, folder = tmp_path / "empty.v", tmp_path / "build"
    source.write_text("module top(input clk); endmodule\n")
    build_model(source, build_dir=folder)
    built = folder / BUILD
    compiled = sorted(built.glob("Vtop*.o"))
    for path in compiled:
        path.write_bytes(path.read_bytes()[:100])  # as a compiler leaves it that was killed
    (built / "top").unlink()
    (built / "stamp.sha256").unlink()
    build_model(source, build_dir=folder)
    assert (built / "top").exists() and all(path.stat().st_size > 100 for path in compiled)


def test_a_missing_compiler_is_named_first(tmp_path, monkeypatch):
    which = bootstrap.shutil.which
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None if name == "make" else which(name))
    with pytest.raises(UserError, match="simulation needs make, which is missing; on Debian: apt install make"):
        build_model(AddOne(), build_dir=tmp_path)

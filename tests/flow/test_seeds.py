"""The best of several runs of place and route; with real tools in ``commands/test_synth.py``."""

import pytest
from rich.console import Console
from vitric.flow import seeds
from vitric.flow.seeds import Placed, place_best
from vitric.golden.errors import ToolFailure
from vitric.toolchain.families import ICE40
from vitric.toolchain.run import Steps


@pytest.fixture
def nextpnr(monkeypatch):
    """Put a stand-in where nextpnr would work; return the clock that it reaches by seed."""
    reached = {}

    def place_and_route(family, folder, arguments, tell, netlist):
        *others, option, seed = arguments
        assert family is ICE40 and (others, option) == (["--up5k"], "--seed")
        if int(seed) not in reached:
            raise ToolFailure("nextpnr ended with status 1", folder / "top.tim")
        tell("placing: step 1", 0.5)
        text = (folder / "top.json").read_text() + (folder / "pins").read_text()
        (folder / "top.asc").write_text(f"{text} with seed {seed}")
        return {"fmax": reached[int(seed)]}

    monkeypatch.setattr(seeds, "place_and_route", place_and_route)
    return reached


def place(folder, wanted, **options):
    for name, text in (("top.json", "netlist"), ("pins", " and pins"), ("top.il", "nobody needs it")):
        (folder / name).write_text(text)
    steps = Steps(Console(quiet=True))
    best = place_best(ICE40, folder, ["--up5k"], wanted, inputs=("top.json", "pins"), steps=steps,
                      fmax=lambda report: report["fmax"], **options)
    return best, list(steps.seconds)


def test_the_first_of_the_best_is_left(nextpnr, tmp_path):
    nextpnr.update({3: 10.0, 4: 12.345, 5: 12.345, 6: 11.0})
    best, names = place(tmp_path, range(3, 7))
    assert best == Placed(4, {"fmax": 12.345}, [{"seed": 3, "fmax_mhz": 10.0}, {"seed": 4, "fmax_mhz": 12.35},
                                                {"seed": 5, "fmax_mhz": 12.35}, {"seed": 6, "fmax_mhz": 11.0}])
    assert names == [f"place and route, seed {seed}" for seed in range(3, 7)]
    assert (tmp_path / "top.asc").read_text() == "netlist and pins with seed 4"
    assert (tmp_path / "seed-6" / "top.asc").read_text() == "netlist and pins with seed 6"
    assert not (tmp_path / "seed-6" / "top.il").exists()
    assert place(tmp_path, [6])[1] == ["place and route"]
    assert (tmp_path / "top.asc").read_text() == "netlist and pins with seed 6"


def test_no_more_seeds_than_are_needed(nextpnr, tmp_path):
    nextpnr.update({1: 10.0, 2: 30.0, 3: 12.0})  # seed 4 would fail
    best, names = place(tmp_path, range(1, 5), enough=lambda report: 11 < report["fmax"] < 20)
    assert best == Placed(2, {"fmax": 30.0}, [{"seed": 1, "fmax_mhz": 10.0}, {"seed": 2, "fmax_mhz": 30.0},
                                              {"seed": 3, "fmax_mhz": 12.0}])
    assert len(names) == 3 and (tmp_path / "top.asc").read_text() == "netlist and pins with seed 2"


def test_a_failure_leaves_what_was_there(nextpnr, tmp_path):
    nextpnr.update({1: 10.0, 3: 20.0})
    (tmp_path / "top.asc").write_text("of an earlier run")
    with pytest.raises(ToolFailure) as failure:
        place(tmp_path, range(1, 4))
    assert failure.value.log == tmp_path / "seed-2" / "top.tim"
    assert (tmp_path / "top.asc").read_text() == "of an earlier run"

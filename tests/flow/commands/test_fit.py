import json
import shutil

import pytest
from typer.testing import CliRunner
from vitric.boards.registry import find_board
from vitric.compiler.capacity import check_capacity
from vitric.flow.cli import app
from vitric.flow.project.project import open_project
from vitric.golden.quantization.settings import Settings


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def figures(*arguments):
    done = run("fit", *arguments, "--json", "figures.json")
    assert done.exit_code == 0, done.output
    with open("figures.json") as file:
        return json.load(file), done.output


def test_the_fastest_the_smallest_and_one_in_between(tmp_path):
    fastest, text = figures("--project", "tiny", "--board", "ulx3s_25f")
    rates = [choice["images_per_s"] for choice in fastest["front"]]
    areas = [choice["lut_eq"] for choice in fastest["front"]]
    assert rates == sorted(rates, reverse=True) and areas == sorted(areas, reverse=True) and len(areas) > 3
    chosen = fastest["chosen"]
    assert chosen in fastest["front"] and chosen["images_per_s"] >= 0.98 * rates[0]
    assert (fastest["board"], fastest["part"], fastest["clock_mhz"]) == ("ulx3s_25f", "LFE5U-25F", 50)
    assert f"{chosen['cycles']} " in text and "the array works in" in text and "would save" in text
    assert 0 < fastest["area_error"]["lut_eq"] <= 0.10 and f"{fastest['area_error']['lut_eq']:.1%} (LUT-eq)" in text
    kept = json.loads((tmp_path / "build/tiny/fit/fit.json").read_text())
    assert kept == fastest and (tmp_path / "build/tiny/fit/front.svg").read_text().startswith("<?xml")
    smallest, _ = figures("--project", "tiny", "--board", "ulx3s_25f", "--objective", "area")
    assert smallest["chosen"] == fastest["front"][-1]
    target = (rates[1] + rates[2]) / 2
    between, _ = figures("--project", "tiny", "--board", "ulx3s_25f", "--target-fps", target)
    assert between["chosen"] == fastest["front"][1]
    faster, _ = figures("--project", "tiny", "--board", "ulx3s_25f", "--clock-mhz", 25)
    assert faster["front"][0]["images_per_s"] == pytest.approx(rates[0] / 2)


def test_what_cannot_be_says_what_would(tmp_path):
    done = run("fit", "--project", "tiny", "--board", "ulx3s_12f", "--target-fps", 10**9)
    assert done.exit_code == 2 and "no accelerator that fits ULX3S with LFE5U-12F reaches 1e+09 images/s" in done.stderr
    assert "no board of the list would do" in done.stderr
    assert not (tmp_path / "build").exists()


def test_the_smallest_board_that_would_do(tmp_path):
    best = figures("--project", "tiny", "--board", "ulx3s_12f")[0]["front"][0]["images_per_s"]
    done = run("fit", "--project", "tiny", "--board", "ulx3s_12f", "--target-fps", 1.01 * best)
    assert done.exit_code == 2 and done.stderr.rstrip().endswith("would do")
    name = done.stderr.split("; ")[-1].split()[0]
    assert name in ("ulx3s_45f", "ulx3s")
    assert figures("--project", "tiny", "--board", name)[0]["front"][0]["images_per_s"] > best


def test_a_larger_board_is_asked_for_larger_arrays():
    """The 85F reaches what no array does that the 12F could hold."""
    small, large = (figures("--project", "digits", "--board", name, "--model-memory", "sdram")[0]["front"][0]
                    for name in ("ulx3s_12f", "ulx3s"))
    arrays = [spec["rows"] * spec["cols"] * spec["depth"] for spec in (small["spec"], large["spec"])]
    assert arrays[0] < arrays[1]
    done = run("fit", "--project", "digits", "--board", "ulx3s_12f", "--model-memory", "sdram", "--target-fps",
               large["images_per_s"])
    assert done.exit_code == 2
    assert done.stderr.rstrip().endswith(("; ulx3s_45f would do", "; ulx3s would do"))


def test_models_in_sdram_take_no_block_ram_and_longer(own):
    """The stream of fashion is bound by the memory; nothing of it lies in block RAM."""
    assert run("fit", "--project", "fashion", "--board", "ulx3s_45f").exit_code == 2  # two models need more than all
    told, text = figures("--project", "fashion", "--board", "ulx3s_45f", "--model-memory", "sdram")
    board, chosen = find_board("ulx3s_45f"), told["chosen"]
    fastest = told["front"][0]
    bound = fastest["model_words"] * board.sdram_spec(fastest["spec"]["model_bits"]).word_rate(50_000_000).word_cycles
    assert fastest["cycles"] > bound and chosen["bram"] < board.part.bram
    refused = run("fit", "--project", "fashion", "--board", "ulx3s_45f").stderr
    assert "(in block RAM: the model " in refused and " bytes, twice, an image " in refused
    assert run("init", "my-vit", *own, "--board", "ulx3s_45f").exit_code == 0
    wrong = run("fit", "--project", "my-vit", "--model-memory", "sdram", "--write")
    assert wrong.exit_code == 2 and "[board] memory is 'bram': change it in the file" in wrong.stderr


def test_write_changes_the_accelerator_alone(own, tmp_path):
    assert run("init", "my-vit", *own, "--board", "ulx3s_45f").exit_code == 0
    file = tmp_path / "my-vit" / "vitric.toml"
    before = file.read_text()
    chosen = figures("--project", "my-vit", "--write")[0]["chosen"]
    after = file.read_text()
    assert before.partition("[accelerator]")[0] == after.partition("[accelerator]")[0]
    assert before.partition("[board]")[2] == after.partition("[board]")[2]
    spec = open_project("my-vit").spec
    assert {name: getattr(spec, name) for name in chosen["spec"]} == chosen["spec"]
    assert open_project("my-vit").settings.accelerator.why.startswith("vitric fit: ")
    check_capacity(open_project("my-vit").vit, spec, Settings(spec=spec))


def test_init_with_a_target(own, tmp_path):
    done = run("init", "my-vit", *own, "--board", "ulx3s_45f", "--target-fps", 100)
    assert done.exit_code == 0, done.output
    fitted = open_project("my-vit")
    assert fitted.settings.accelerator.why.startswith("vitric fit: ")
    assert run("init", "other", *own, "--board", "ulx3s_45f", "--target-fps", 10**8).exit_code == 2
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--project", "tiny", "--write"], "tiny is built in and not changed; make a project of your own"),
    (["--project", "tiny", "--objective", "speed"], "--objective must be one of fps, area, not 'speed'"),
    (["--project", "tiny", "--model-memory", "tape"],
     "--model-memory must be one of bram, sdram, external, not 'tape'"),
    (["--project", "tiny", "--model-memory", "external", "--pnr", 1], "must then be bram or sdram, not 'external'"),
    (["--project", "huge"], "--project must be one of "),
])
def test_mistakes(tmp_path, arguments, message):
    done = run("fit", *arguments)
    assert done.exit_code == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "build").exists()


def test_a_cluster_finds_the_same():
    one, two = (figures("--project", "tiny", "--board", "ulx3s_12f", "--jobs", jobs)[0] for jobs in (1, 2))
    assert {**one, "seconds": 0} == {**two, "seconds": 0}


def test_the_front_is_placed_and_routed(monkeypatch, tmp_path):
    """Place and route itself is tested by `vitric bitstream`; here it is what is asked of it, and what is told."""
    asked = []

    def build(project, *, seeds, workers, stderr):
        asked.append((project.spec, project.build, seeds))
        return {"lut_eq": 11, "ff": 12, "dsp": 13, "bram": 14, "fmax_mhz": 51.5, "timing_met": True}

    monkeypatch.setattr("vitric.flow.bitstream.build_bitstream", build)
    found, text = figures("--project", "tiny", "--board", "ulx3s_25f", "--objective", "area", "--pnr", 2, "--seeds", 3)
    chosen, fastest = found["chosen"]["spec"], found["front"][0]["spec"]
    for (spec, folder, seeds), number, wanted in zip(asked, (1, 2), (chosen, fastest), strict=True):
        assert (folder.parts[-3:], seeds) == (("tiny", "fit", str(number)), 3)
        assert {name: getattr(spec, name) for name in wanted} == wanted
    assert found["placed"][0]["measured"] == {"lut_eq": 11, "ff": 12, "dsp": 13, "bram": 14} and "51.5" in text
    shutil.rmtree(tmp_path / "build")

"""Wrong arguments of every kind, drawn with a fixed seed from the commands' own tables of parameters.

Whatever is given, a command ends with status 0, 1 or 2, and 2 comes with one line: no traceback, no other exception.
The work itself is stopped where it would begin, so that a case takes milliseconds.
"""

import random
import shutil
from importlib import import_module
from typing import get_args, get_type_hints

import pytest
import typer
from typer.testing import CliRunner
from vitric.flow.cli import COMMANDS, app
from vitric.golden.checkpoint import MODELS
from vitric.golden.errors import UserError

CASES = 60  # of each command

WORK = (
    "vitric.toolchain.tools:find_all", "vitric.flow.bitstream:_build",
    "vitric.flow.commands.generate:verilog_text",
    "vitric.flow.commands.synth:_synthesize", "vitric.sim.accelerator:run_stream", "vitric.sim.mutants:plant",
    "vitric.formal.prover:prove", "vitric.flow.studies.runner:run_study", "vitric.golden.train:train",
    "vitric.golden:quantize", "vitric.golden.quantization:quantize_with_scales", "vitric.golden.pruning.prune:prune",
    "vitric.golden.quantization.analysis.layer_errors:measure_layer_errors", "vitric.golden.data_free:synthesize",
    "vitric.flow.demo.service:ProjectService",
)
"""Where commands begin what takes long: ``module:function``."""

NUMBERS = ("-1", "0", "1", "2", "4", "9", "3.5", "1e20", "1e400", "nan", "-inf", "9" * 30, "", "x", "0x10", "1_0", "½",
           " 1", "--", "1\n2")

TEXTS = ("", " ", "-", "--", "no such", "a\nb", "ü ö", "..", "n" * 300, "%s", "[red]", "\x1b[31m", "a=b", "lanes=",
         "=1", "lanes=-1", "lanes=9999999999", "lanes=2", "2:4", "0:0", "2,3", ",", "\udcff", "{}", "*", "[",
         "é.safetensors")

GOOD = ("tiny", "digits", "mac", "softmax", "mse", "minmax", "bits", "ecp5", "ulx3s", "channel", "train", "noise",
        "data_free", "half", "roofline", "methods", "magnitude", "gelu")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder with files of every kind but good ones, some good ones, and the names of all."""
    folder = tmp_path_factory.mktemp("files and folders")
    noise = random.Random(1)
    contents = {
        "empty": b"", "noise": noise.randbytes(5000), "deep.json": b"[" * 100_000, "line\nbreak.json": b"{\n}",
        "list.json": b"[1, 2]", "bits.json": b'{"layer_bits": {"fc1": [4, 4]}}', "nan.json": b'{"layer_bits": NaN}',
        "latin.json": b'{"\xe9": 1}', "noise.png": b"\x89PNG\r\n\x1a\n" + noise.randbytes(500),
        "empty.safetensors": b"", "noise.safetensors": noise.randbytes(3000), "noise.pth": noise.randbytes(3000),
        "huge.safetensors": b"\xff" * 8, "text.bin": "ü".encode() * 999,
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.safetensors").mkdir()
    model = (MODELS / "integer" / "tiny.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(model)
    (folder / "short.safetensors").write_bytes(model[:-100])
    shutil.copy(MODELS / "tiny.safetensors", folder / "float.safetensors")
    names = [str(path) for path in sorted(folder.iterdir())]
    return [*names, str(folder), "missing", "/dev/null", "/dev/full", str(folder / "empty" / "below.json"),
            str(folder / "new" / "out.v"), str(folder / "new" / "out.safetensors"), str(folder / "new.onnx")]


@pytest.fixture
def no_work(monkeypatch, tmp_path):
    def begin(*arguments, **options):
        raise UserError("the work would begin here")

    for name in WORK:
        module, _, function = name.partition(":")
        monkeypatch.setattr(import_module(module), function, begin)
    monkeypatch.chdir(tmp_path)


def parameters(name):
    group = typer.main.get_command(app)
    return group.get_command(group.make_context("vitric", [name]), name).params


def arguments(name, draw, files):
    """Return one list of arguments for a command: required ones mostly, the others now and then."""
    words = []
    for parameter in parameters(name):
        optional = not parameter.required
        if draw.random() < (0.6 if optional else 0.05):
            continue
        if getattr(parameter, "is_flag", False):
            words.append(parameter.opts[0])
            continue
        numbers = parameter.min is not None or parameter.max is not None
        value = draw.choice(NUMBERS) if numbers else draw.choice(draw.choice((TEXTS, GOOD, files)))
        words += [value] if parameter.param_type_name == "argument" else [parameter.opts[0], value]
    return words


@pytest.mark.parametrize("name", COMMANDS)
def test_any_arguments_end_with_a_status_and_one_line(name, files, no_work):
    draw = random.Random(name)
    for _ in range(CASES):
        words = [name, *arguments(name, draw, files)]
        result = CliRunner().invoke(app, words)
        assert result.exception is None or isinstance(result.exception, SystemExit), words
        assert result.exit_code in (0, 1, 2), (words, result.output)
        assert "Traceback" not in result.output, words
        lines = [line for line in result.stderr.splitlines() if not line.startswith("vitric: warning: ")]
        if result.exit_code == 2:
            assert [line for line in lines if line.startswith("vitric: ")] == lines[-1:], (words, result.stderr)


@pytest.mark.parametrize(("line", "message"), [
    ("sim --seed -1", "--seed must be between 0 and 2147483647, not -1"),
    ("sim --config tiny --w-bits 0", "--w-bits must be between 1 and 8, not 0"),
    ("sim --model /dev/full", "--model: cannot read /dev/full: it is no regular file"),
    ("formal --seconds -1", "--seconds must be between 1 and 86400, not -1"),
    ("bitstream --clock-mhz 0", "--clock-mhz must be between 10 and 400, not 0"),
    ("bitstream --clock-mhz 10.37", "MHz comes within 2% of 1000000 baud; choose another --clock-mhz or --baud"),
    ("bitstream --config tiny --capacity 60000", "take at least 235 block RAMs, but LFE5U-85F has 208"),
    ("allocate --config tiny --budget 0", "--budget must be at least"),
    ("allocate --budget inf", "--budget must be between 0 and 1000000000000, not inf"),
    ("allocate --budget nan", "--budget must be between 0 and 1000000000000, not nan"),
    ("quantize --config tiny --draw 1e20", "--draw must be an integer between 0 and 2147483647, not '1e20'"),
    ("quantize --config tiny --calibration-source data_free --method no", "method must be one of"),
    ("quantize --weights x --data digits --heads 0", "--heads must be between 1 and 1024, not 0"),
    ("prune --config tiny --n-m 2:4 --out /dev/null/x.safetensors", "cannot write /dev/null/x.safetensors"),
    ("train --config tiny --json /dev/null/x.json", "cannot write /dev/null/x.json"),
    ("images --config tiny --count 1e9", "--count must be an integer between 1 and 100000, not '1e9'"),
    ("study roofline --jobs 0", "--jobs must be between 1 and 256, not 0"),
    ("mutate mac --seed -1", "--seed must be between 0 and 2147483647, not -1"),
])
def test_checks_come_before_the_work(line, message, no_work):
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 2 and message in result.stderr.splitlines()[-1], result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_number_has_a_bound(name):
    command = getattr(import_module(f"vitric.flow.commands.{name}"), f"{name}_command")
    for parameter, kind in get_type_hints(command, include_extras=True).items():
        option = next(iter(getattr(kind, "__metadata__", ())), None)
        if option is not None and {int, float} & {kind.__origin__, *get_args(kind.__origin__)}:
            assert option.min is not None, parameter


def test_a_fault_of_the_program_is_shown(monkeypatch, tmp_path):
    """The tests above would see an error that nobody expected."""
    monkeypatch.setattr("vitric.flow.commands.doctor.examine", lambda: {}["no such key"])
    assert isinstance(CliRunner().invoke(app, ["doctor"]).exception, KeyError)

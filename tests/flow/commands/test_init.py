import json
import shutil

import pytest
from typer.testing import CliRunner
from vitric.compiler.capacity import check_capacity
from vitric.flow.cli import app
from vitric.flow.project.project import open_project
from vitric.golden.quantization.settings import Settings


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_init(own, tmp_path):
    done = run("init", "my-vit", *own, "--board", "ulx3s_45f", "--a-bits", 5, "--array", "tiny")
    assert done.exit_code == 0, done.output
    assert "my-vit/vitric.toml: 20 channels, 1 blocks, 10 tokens, 3 classes" in done.output
    project = open_project("my-vit")
    assert (project.name, project.board.name, project.settings.quantization.a_bits) == ("my-vit", "ulx3s_45f", 5)
    assert (project.spec.rows, project.spec.depth, project.spec.max_tokens) == (2, 4, 10)
    check_capacity(project.vit, project.spec, Settings(spec=project.spec, a_bits=5))
    assert "array and ports of tiny" in project.settings.accelerator.why
    assert project.settings.quantization.calibration.images == 12  # all there are
    done = run("quantize", "--project", "my-vit", "--calibration", 12, "--json", "figures.json")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "figures.json").read_text())["a_bits"] == 5
    assert sorted(path.name for path in (tmp_path / "my-vit" / "build").iterdir()) == [
        "integer-a_5-calibration_images_12.safetensors", "quantize.json"]


def test_images_of_another_size(own, tmp_path):
    done = run("init", "my-vit", *own, "--image-size", 8, "--array", "tiny")
    assert done.exit_code == 0 and "20 channels, 1 blocks, 5 tokens, 3 classes" in done.output
    assert "image_size = 8" in (tmp_path / "my-vit" / "vitric.toml").read_text()
    project = open_project("my-vit")
    assert project.vit.image_size == 8 and project.spec.max_tokens == 5
    images, _ = next(iter(project.images("test").batches(2)))
    assert tuple(images.shape) == (2, 3, 8, 8)
    done = run("quantize", *own, "--image-size", 8, "--calibration", 12)
    assert done.exit_code == 0, done.output


def test_a_project_and_what_it_names_move_together(own, tmp_path):
    assert run("init", "my-vit", *own).exit_code == 0
    (tmp_path / "elsewhere").mkdir()
    for name in ("my-vit", "vit.safetensors", "pictures"):
        shutil.move(tmp_path / name, tmp_path / "elsewhere" / name)
    assert len(open_project(tmp_path / "elsewhere" / "my-vit").images("train")) == 12


@pytest.mark.parametrize(("arguments", "message"), [
    (["--data", "nowhere"], "data must be one of digits, fashion or a folder that exists"),
    (["--data", "digits"], "digits has 10 classes in the train split, the model has 3"),
    (["--array", "huge"], "--array must be one of tiny, "),
    (["--heads", 3], "embed_dim must be a multiple of num_heads, not 20 with 3 heads"),
    (["--image-size", 10], "image_size must be a multiple of patch_size, 4, not 10"),
    (["--board", "ulx4s"], "--board must be one of ulx3s, "),
    (["--method", "magic"], "[quantization] method: must be 'mse', "),
    (["--weights", "none.pth"], "--weights: cannot read none.pth: it does not exist"),
])
def test_what_does_not_fit_writes_nothing(own, tmp_path, arguments, message):
    done = run("init", "my-vit", *own, *arguments)
    assert done.exit_code == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "my-vit").exists()


def test_a_project_that_is_there_is_kept(own, tmp_path):
    assert run("init", "my-vit", *own).exit_code == 0
    before = (tmp_path / "my-vit" / "vitric.toml").read_text()
    done = run("init", "my-vit", *own, "--a-bits", 3)
    assert done.exit_code == 2 and "is there already" in done.stderr
    assert (tmp_path / "my-vit" / "vitric.toml").read_text() == before

from typer.testing import CliRunner
from vitric.flow.cli import app


def run(project, count, folder):
    return CliRunner().invoke(app, ["samples", "--project", project, "--count", str(count), "--out", str(folder)])


def test_random_images_have_no_class(tmp_path):
    done = run("deit_tiny_block", 2, tmp_path / "x")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["0.png", "1.png"]


def test_more_than_there_are(tmp_path):
    done = run("tiny", 361, tmp_path / "x")
    assert done.exit_code == 2 and "images must be at most 360, the size of the test split, not 361" in done.stderr
    assert not (tmp_path / "x").exists()


def test_images_that_no_file_can_hold(tmp_path):
    path = tmp_path / "vitric.toml"
    path.write_text('[network]\nbase = "tiny"\nin_chans = 2\n')
    done = run(str(path), 2, tmp_path / "x")
    assert done.exit_code == 2 and "images of 2 channels cannot be written as files; legal are 1 and 3" in done.stderr

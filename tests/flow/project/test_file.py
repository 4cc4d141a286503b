import re

import pytest
from vitric.flow.project import file
from vitric.flow.project.file import CONFIGS, change_file, config_names, find_file, read_file
from vitric.golden.errors import UserError

TINY = '[network]\nbase = "tiny"\n'


@pytest.fixture
def read(tmp_path):
    """Return a function that writes a project's file and reads it."""

    def written(text):
        path = tmp_path / "vitric.toml"
        path.write_text(text)
        return read_file(path)

    return written


@pytest.mark.parametrize("name", config_names())
def test_built_in_projects(name):
    said = read_file(find_file(name)).accelerator
    changed = said.model_dump(exclude_none=True, exclude={"spec", "why"})
    assert said.named(name).name == (name if changed else said.spec)


@pytest.mark.parametrize(("text", "message"), [
    ("", "the file needs [model] weights, or [network] for random ones"),
    (TINY + "[nets]\na = 1\n", "[nets] is unknown; sections are model, network, data, quantization, accelerat"),
    ('[network]\nbase = "small"\n', "[network] base: must be 'tiny', 'digits', "),
    (TINY + "depth = 0\n", "[network]: depth must be between 1 and 64, not 0"),
    (TINY + "layers = 2\n", "[network] layers is unknown; keys of [network] are base, image_size, patch_size, "),
    (TINY + 'depth = "2"\n', "[network] depth: must be a valid integer, not '2'"),
    ("network = 3\n", "[network] must be a table, not 3"),
    (TINY + "[quantization]\nw_bits = 9\n", "[quantization] w_bits: must be less than or equal to 8, not 9"),
    (TINY + '[quantization]\nmethod = "magic"\n', "[quantization] method: must be 'mse', "),
    (TINY + "[quantization.calibration]\nimage = 9\n",
     "[quantization.calibration] image is unknown; keys of [quantization.calibration] are images, source, seed"),
    (TINY + "[quantization]\ncalibration = 3\n", "[quantization] calibration must be a table, not 3"),
    (TINY + "[accelerator]\nrows = 2\n", "[accelerator] needs spec, one of tiny, "),
    (TINY + '[accelerator]\nspec = "tiny"\nrows = 3\n', "[accelerator]: rows must be a power of two between 1 and "),
    (TINY + '[board]\nname = "icebreaker"\n', "[board] name: must be 'ulx3s', "),
    (TINY + "[board]\nclock_mhz = 0\n", "[board] clock_mhz: must be greater than 0, not 0"),
    ("a = [[", "cannot read the project's file"),
    ("a = " + "[" * 100_000, "cannot read the project's file"),
    ("# " + "x" * file._SIZE_MAX, "must be a project's file of at most"),
])
def test_wrong_files_are_one_line(read, text, message):
    with pytest.raises(UserError) as caught:
        read(text)
    assert message in str(caught.value) and "vitric.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_where_a_project_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_file(None) == CONFIGS / "digits.toml" and find_file("tiny") == CONFIGS / "tiny.toml"
    (tmp_path / "mine").mkdir()
    for place in (tmp_path / "mine", tmp_path):
        (place / "vitric.toml").write_text(TINY)
    assert find_file(None).resolve() == tmp_path / "vitric.toml"
    assert find_file("mine") == find_file(tmp_path / "mine" / "vitric.toml").relative_to(tmp_path)
    names = re.escape(", ".join(config_names()))
    with pytest.raises(UserError, match=f"--project must be one of {names}, a folder with a vitric.toml, or such a "
                                        "file, not 'nowhere'"):
        find_file("nowhere")


def test_changes(read):
    settings = read(TINY + '[quantization]\nw_bits = 3\n[accelerator]\nspec = "tiny"\nmax_tokens = 9\n')
    changed = change_file(settings, {"quantization": {"a_bits": 5}, "accelerator": {"spec": "digits"}})
    assert (changed.quantization.w_bits, changed.quantization.a_bits) == (3, 5)
    assert changed.accelerator.named("x").max_tokens == 32  # without what was changed in the first
    assert settings.quantization.a_bits == 4
    with pytest.raises(UserError, match=r"^\[quantization\] a_bits: must be greater than or equal to 2, not 1$"):
        change_file(settings, {"quantization": {"a_bits": 1}})

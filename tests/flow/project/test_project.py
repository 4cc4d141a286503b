import json
from dataclasses import replace

import pytest
from safetensors.torch import save_file
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.project.file import CONFIGS
from vitric.flow.project.images import test_images as images_of
from vitric.flow.project.integer import integer_file, integer_model, options_of, summary_file
from vitric.flow.project.project import checkpoint_project, open_project
from vitric.golden.errors import UserError
from vitric.golden.integer.storage import load_integer, save_integer
from vitric.golden.vit import VisionTransformer

from tests.flow.project.own import ODD, write_own

pytestmark = pytest.mark.usefixtures("one_thread")

@pytest.fixture
def mine(tmp_path):
    """Return the folder of a project: a checkpoint of odd sizes, pictures of three classes, an accelerator."""
    folder = tmp_path / "my vit"
    folder.mkdir()
    write_own(folder)
    (folder / "vitric.toml").write_text("""
[model]
weights = "vit.safetensors"
num_heads = 2

[data]
source = "pictures"

[quantization]
method = "minmax"
calibration = {images = 9}

[accelerator]
rows = 2
cols = 2
depth = 4
model_bits = 32
max_tokens = 10
max_embed = 20
act_words = 700
residual_words = 200
weight_words = 128
channel_words = 128
""")
    return folder


def test_a_project_of_ones_own(mine):
    project = open_project(mine)
    assert (project.name, project.build, project.board.name) == ("my vit", mine / "build", "ulx3s")
    assert project.vit.embed_dim == 20 and project.vit.num_heads == 2 and project.spec.name == "my vit"
    assert len(project.images("train")) == len(project.images("test")) == 12
    model = integer_model(project)
    assert model.info["method"] == "minmax" and model.info["calibration_images"] == "9"
    kept = integer_file(project, options_of(project, {}))
    assert kept.name == "integer-calibration_images_9-method_minmax.safetensors" and kept.parent == mine / "build"
    assert load_integer(kept).info == model.info
    chosen = images_of(project, 5, seed=1)
    assert chosen.images.shape == (5, 3, 12, 12) and set(chosen.labels.tolist()) <= {0, 1, 2}
    with pytest.raises(UserError, match="images must be at most 12, the size of the test split, not 13"):
        images_of(project, 13, seed=1)


def test_other_options_have_other_files(mine):
    project = open_project(mine)
    names = {integer_file(project, options_of(project, change)).name for change in (
        {}, {"w_bits": 3}, {"edge_bits": 6}, {"granularity": "layer"}, {"calibration_source": "noise"},
        {"calibration_seed": 1}, {"seed": 2}, {"layer_bits": {"blocks.0": (3, 3)}},
        {"layer_bits": {"blocks.0": (3, 4)}})}
    assert len(names) == 9


def test_other_options_have_other_figures_of_simulations(mine):
    project = open_project(mine)
    assert summary_file(project, {}) == summary_file(project, {"method": "minmax"}) == mine / "build" / "sim.json"
    assert summary_file(project, {"method": "erq", "a_bits": 5}).name == "sim-a_5-method_erq.json"
    models = mine / "model.safetensors", mine / "other" / "model.safetensors"
    models[1].parent.mkdir()
    for path in models:
        path.write_bytes(str(path).encode())
    assert len({summary_file(project, {"layer_bits": {"blocks.0": (3, 3)}}), summary_file(project, {}),
                *(summary_file(project, {}, path) for path in models)}) == 4


def test_two_checkpoints_of_one_name(mine, tmp_path):
    other = tmp_path / "other" / "vit.safetensors"
    other.parent.mkdir()
    save_file(VisionTransformer(ODD).state_dict(), other)
    one, two = (checkpoint_project(path, {}) for path in (mine / "vit.safetensors", other))
    assert one.name == two.name == "vit" and one.build != two.build


def test_an_integer_model_that_is_there_already(mine):
    model = integer_model(open_project(mine))
    save_integer(model, mine / "integer.safetensors")
    taken = open_project(mine).changed({"model": {"integer": "integer.safetensors"}})
    assert integer_model(taken).info == model.info
    with pytest.raises(UserError, match="the integer model of my vit is there already, so w_bits cannot be chosen"):
        integer_model(taken, w_bits=3)
    with pytest.raises(UserError, match=r"\[model\] integer of tiny must be of the network "):
        integer_model(open_project("tiny").changed({"model": {"integer": str(mine / "integer.safetensors")}}))


def test_what_a_project_does_not_have(mine, tmp_path):
    text = (mine / "vitric.toml").read_text()
    (mine / "vitric.toml").write_text(text.partition("[accelerator]")[0].replace('source = "pictures"', ""))
    project = open_project(mine)
    with pytest.raises(UserError, match=r"my vit has no accelerator; name one in \[accelerator\] of its vitric.toml"):
        project.spec  # noqa: B018
    with pytest.raises(UserError, match=r"my vit has no data; name a data set or a folder in \[data\] source"):
        project.images("train")
    random = open_project("deit_tiny_block")
    assert images_of(random, 2, seed=3).labels is None and random.folder == CONFIGS
    with pytest.raises(UserError, match="deit_tiny_block has random weights, so nothing is trained"):
        random.model  # noqa: B018
    with pytest.raises(UserError, match="method: deit_tiny_block has random weights, so nothing is quantized"):
        integer_model(random, w_bits=3, method="erq")


def test_random_weights_are_as_wide_as_the_file_says():
    random = open_project("deit_tiny_block").changed({"quantization": {
        "w_bits": 3, "a_bits": 2, "edge_bits": 4, "softmax_bits": 6}})
    model = integer_model(random)
    block = model.blocks[0]
    assert (block.mlp.fc2.w_bits, block.mlp.fc2.a_bits, model.head.w_bits, model.patch_embed.w_bits) == (3, 2, 4, 4)
    assert block.mlp.fc1.weight.abs().max() == 3
    assert integer_model(random, w_bits=2).blocks[0].mlp.fc2.w_bits == 2
    with pytest.raises(UserError, match="edge_bits must be between 2 and 8, not 9"):
        integer_model(random.changed({"quantization": {"a_bits": 8}}), edge_bits=9)


def test_network_and_weights_must_agree(mine):
    other = open_project(mine).changed({"network": {"base": "tiny"}})
    with pytest.raises(UserError, match=r"vit.safetensors is the network VitConfig\(image_size=12, .* of my vit is "):
        other.model  # noqa: B018


def test_own_weights_and_pictures_in_the_generated_hardware(mine, monkeypatch):
    """As a user would: in the project's folder, without options."""
    monkeypatch.chdir(mine)
    done = CliRunner().invoke(app, ["sim", "--images", "2", "--json", "figures.json"])
    assert done.exit_code == 0, done.output
    figures = json.loads((mine / "figures.json").read_text())
    assert figures["config"] == "my vit" and figures["values_differ"] == 0 < figures["values_compared"]
    assert set(figures["accuracy"]) == {"float", "golden", "rtl"} and None not in figures["accuracy"].values()
    assert (mine / "build" / "sim.json").is_file() and (mine / "build" / "verilator").is_dir()


def test_a_committed_model_is_for_its_accelerator(tmp_path):
    tiny = replace(open_project("tiny"), build=tmp_path)
    assert integer_model(tiny).info["port_acc_bits"] == "24" and list(tmp_path.iterdir()) == []
    other = tiny.changed({"accelerator": {"spec": "tiny", "acc_bits": 20}})
    assert integer_model(other).info["port_acc_bits"] == "20"
    assert [path.name for path in tmp_path.iterdir()] == ["integer-port_acc_bits_20.safetensors"]


def test_labels_are_those_of_the_classes(mine):
    assert open_project(mine).changed({"data": {"labels": ["bird", "cat", "dog"]}}).labels == ("bird", "cat", "dog")
    with pytest.raises(UserError, match=r"\[data\] labels of my vit must be 3 names, one for each class, not 2"):
        open_project(mine).changed({"data": {"labels": ["bird", "cat"]}}).labels  # noqa: B018

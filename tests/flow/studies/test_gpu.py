"""The study of GPUs on CPU tensors: the same code, and an error where there is no CUDA device."""

import sys
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.studies.gpu import BATCHES, PRECISIONS, STUDY
from vitric.flow.studies.gpu_measure import Int8Linear, measure, network, power_of
from vitric.flow.studies.pages import svg
from vitric.golden.spec.vit import VIT_CONFIGS

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


def test_without_cuda_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = CliRunner().invoke(app, ["study", "gpu"])
    assert done.exit_code == 2 and "study gpu needs a CUDA device, and torch sees none" in " ".join(done.stderr.split())
    assert not list(tmp_path.rglob("*.json")) and power_of(CPU) is None


@pytest.mark.parametrize(("said", "watts"), [("61.5", 61.5), ("[N/A]", None), (None, None)])
def test_power_is_what_nvidia_smi_says(said, watts, tmp_path, monkeypatch):
    """A stand-in tells it; None: there is no such program."""
    if said is not None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!{sys.executable}\nimport sys\nassert '--id=GPU-7' in sys.argv\nprint({said!r})\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="GPU-7"))
    assert power_of(torch.device("cuda")) == watts


@pytest.mark.parametrize("rows", [3, 40])
def test_products_of_integers(rows):
    torch.manual_seed(rows)
    linear = torch.nn.Linear(16, 24)
    layer, x = Int8Linear(linear), torch.randn(rows, 16)
    with torch.no_grad():
        y = layer(x)
        step, scale = x.abs().max() / 127, linear.weight.abs().amax(1) / 127
        codes, weights = (x / step).round().long(), (linear.weight / scale.unsqueeze(1)).round().long()
        torch.testing.assert_close(y, (codes @ weights.T) * (step * scale) + linear.bias)
        torch.testing.assert_close(y, linear(x), rtol=0, atol=0.05)
        codes = (2 * x / step).round().clamp(-127, 127).long()  # the step stays that of the first call
        torch.testing.assert_close(layer(2 * x), (codes @ weights.T) * (step * scale) + linear.bias)


def test_the_linear_layers_are_replaced():
    model = network(VIT_CONFIGS["tiny"], "int8", CPU)
    assert sum(isinstance(module, Int8Linear) for module in model.modules()) == 5  # qkv, proj, fc1, fc2, head
    assert not any(isinstance(module, torch.nn.Linear) for module in model.modules())
    assert model.pos_embed.dtype == torch.bfloat16 and network(VIT_CONFIGS["tiny"], "float32", CPU).norm.bias.is_leaf


def test_every_precision_is_measured_and_shown():
    watts = iter([100.0] * 1000)
    records = [{"config": "digits", "precision": precision, "batch": batch} | measure(
        VIT_CONFIGS["digits"], precision, batch, CPU, seconds=0, power=lambda device: next(watts))
        for batch in (1, 5) for precision in PRECISIONS]
    exact, half, integer = records[3:]
    assert exact["error_db"] > 100 > half["error_db"] > 25 and integer["error_db"] > 15
    assert integer["product"] == "torch._int_mm" and exact["device"] == "cpu" and exact["repeats"] >= 3
    for record in records:
        assert record["images_per_s"] == pytest.approx(1e3 * record["batch"] / record["latency_ms"], rel=1e-2)
        assert record["joule_per_image"] == pytest.approx(100 / record["images_per_s"], rel=1e-2)
    table = STUDY.table(records)
    assert "**digits** on cpu" in table
    assert [table.count(f" {precision} ") for precision in PRECISIONS] == [2, 3, 2]  # one in the head of the table
    assert "<svg" in svg(STUDY, records)
    unknown = [record | {"joule_per_image": None} for record in records]
    assert "–" in STUDY.table(unknown) and "<svg" in svg(STUDY, unknown)


def test_cases():
    cases = STUDY.cases("deit_tiny", None)
    assert len(cases) == len(PRECISIONS) * len(BATCHES) and {case["config"] for case in cases} == {"deit_tiny"}

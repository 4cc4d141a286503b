"""`vitric allocate`: widths for every layer that lose least under a budget of bits, cycles or stream bytes.

torch is imported where it is used, so that ``--help`` is quick.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json

from ..inputs.options import COUNT, JsonFile, ProjectName, check_output
from ..reports.console import console

if TYPE_CHECKING:
    from vitric.compiler.costs import CostModel
    from vitric.golden.quantization.analysis.allocate import Allocation
    from vitric.golden.quantization.analysis.layer_errors import LayerErrors
    from vitric.golden.quantization.bits import Bits

    from ..project.project import Project

__all__ = ["allocate_command", "solve"]

_MEASURED_ON = 256  # training images behind the calibration images
_UNIFORM = (3, 4, 6, 8)  # widths that the table compares with, if they and 8, that of the edges, may be chosen


def allocate_command(
    budget: Annotated[
        float, typer.Option(min=0, max=10**12, help="Largest cost: mean bits of an operand, cycles of "
                            "an image, or bytes of the model stream, as --measure says.")],
    project: ProjectName = None,
    measure: Annotated[str, typer.Option(help="What the budget limits: bits, cycles or bytes.")] = "bits",
    widths: Annotated[str, typer.Option(help="Widths to choose from, 2 to 8.")] = "2,3,4,6,8",
    method: Annotated[str, typer.Option(help="Quantization method, as of `vitric quantize`.")] = "mse",
    calibration: Annotated[int, typer.Option(**COUNT, help="Training images to calibrate on, from the first.")] = 64,
    out: Annotated[Path | None, typer.Option(help="Widths (JSON); by default build/PROJECT/bits.json.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Choose the widths of every layer's operands so that the logits lose least under a budget.

    Rounds one operand of one layer at a time and measures the error of the logits, on training images that were not
    calibrated on. The widths with the least sum of errors that keep the budget are then found exactly. `vitric
    quantize --layer-bits FILE` and `vitric sim --layer-bits FILE` take the file.
    """
    from vitric.compiler.costs import MEASURES

    from ..project.project import open_project

    chosen = _widths(widths)
    if measure not in MEASURES:
        raise UserError(f"--measure must be one of {', '.join(MEASURES)}, not {measure}")
    work = open_project(project)
    path = check_output(out or work.build / "bits.json")
    to_stdout = str(json_file) == "-"
    started = time.process_time()
    costs, errors = _prepare(work, method, calibration, chosen, measure, budget)
    allocation = solve(costs, errors, measure, budget, chosen)
    figures = _figures(costs, errors, allocation, chosen) | {
        "config": work.name, "method": method, "measure": measure, "budget": budget, "widths": chosen,
        "calibration_images": calibration, "images": _MEASURED_ON,
        "cpu_seconds": round(time.process_time() - started, 2), "file": str(path),
    }
    write_json(path, figures)
    if json_file is not None:
        write_json(json_file, figures)
    _show(figures, stderr=to_stdout)


def _widths(text: str) -> list[int]:
    try:
        widths = sorted({int(part) for part in text.split(",")})
    except ValueError:
        widths = []
    if not widths or not 2 <= widths[0] <= widths[-1] <= 8:
        raise UserError(f"--widths must be integers from 2 to 8 with commas between them, not {text}")
    return widths


def _prepare(work: "Project", method: str, count: int, widths: list[int], measure: str,
             budget: float) -> tuple["CostModel", "LayerErrors"]:
    from rich.progress import Progress
    from vitric.compiler.costs import CostModel
    from vitric.golden.quantization.analysis.layer_errors import measure_layer_errors
    from vitric.golden.quantization.bits import product_names
    from vitric.golden.quantization.methods import method as named

    model, images = work.model, work.images("train")
    if not 1 <= count <= len(images) - _MEASURED_ON:
        raise UserError(f"--calibration must be between 1 and {len(images) - _MEASURED_ON}, not {count}")
    try:
        recipe = named(method)
        costs = CostModel(model.config, work.spec, recipe)
        if budget < _least(costs, measure, widths):
            raise _too_small(costs, measure, widths, budget)
        with Progress(console=console(stderr=True), transient=True) as progress:
            task = progress.add_task("quantizing to 8 bits", total=len(product_names(model.config)))
            errors = measure_layer_errors(
                model, *images.take(count + _MEASURED_ON).split([count, _MEASURED_ON]), widths=widths, method=method,
                spec=work.spec,
                on_product=lambda name: progress.update(task, advance=1, description=f"rounding {name}"))
    except (TypeError, ValueError, OSError) as error:
        raise UserError(str(error)) from error
    return costs, errors


def _least(costs: "CostModel", measure: str, widths: list[int]) -> float:
    """Return the cost of the cheapest widths."""
    table, _ = costs.increments(measure, widths)
    return costs.measure({name: min(table[name], key=table[name].get) for name in table})[measure]


def _too_small(costs: "CostModel", measure: str, widths: list[int], budget: float) -> UserError:
    least = _least(costs, measure, widths)
    return UserError(
        f"--budget must be at least {least:.3f}, the cost of the cheapest widths in {measure}, not {budget:g}")


def solve(costs: "CostModel", errors: "LayerErrors", measure: str, budget: float, widths: list[int]) -> "Allocation":
    """Return the widths of least error that cost at most ``budget``.

    Cycles of products do not quite add up: while the found widths take more cycles than the budget, their sum is given
    that much less.

    Raises
    ------
    UserError
        No choice of widths keeps the budget.
    """
    from vitric.golden.quantization.analysis.allocate import BudgetTooSmall, allocate

    table, fixed = costs.increments(measure, widths)
    unit = 2 * costs.config.total_macs if measure == "bits" else 1
    target = int(budget * unit + 1e-6) - fixed
    while True:
        try:
            found = allocate(table, errors, target)
        except BudgetTooSmall:
            raise _too_small(costs, measure, widths, budget) from None
        except ValueError as error:
            raise UserError(str(error)) from error
        excess = costs.measure(found.layer_bits)[measure] - budget
        if measure == "bits" or excess <= 0:
            return found
        target -= max(int(excess), 1)


def _expected(errors: "LayerErrors", layer_bits: Mapping[str, "Bits"]) -> float:
    """Return how far the logits are expected to be above their error, in decibels."""
    return round(errors.snr_db(sum(errors.of(name, bits) for name, bits in layer_bits.items())), 2)


def _figures(costs: "CostModel", errors: "LayerErrors", allocation: "Allocation", widths: list[int]) -> dict:
    from vitric.golden.quantization.settings import Settings

    layers = {}
    for name, bits in allocation.layer_bits.items():
        error = errors.of(name, bits)
        layers[name] = {"w_bits": bits.w, "a_bits": bits.a, "error_share": round(error / (allocation.error or 1.0), 4)}
    uniform = []
    for width in _UNIFORM if 8 in widths else ():
        if width in widths:
            settings = Settings(w_bits=width, a_bits=width, softmax_bits=8)
            same = {name: settings.bits(name) for name in allocation.layer_bits}
            uniform.append({"w_bits": width, "a_bits": width, "cost": costs.measure(same),
                            "expected_snr_db": _expected(errors, same)})
    return {
        "layer_bits": {name: list(bits) for name, bits in allocation.layer_bits.items()},
        "cost": costs.measure(allocation.layer_bits), "expected_snr_db": _expected(errors, allocation.layer_bits),
        "layers": layers, "uniform": uniform,
    }


def _show(figures: dict, *, stderr: bool) -> None:
    from rich.table import Table

    out = console(stderr=stderr)
    table = Table("product", "W", "A", "share of the error", title=f"{figures['config']}, at most "
                  f"{figures['budget']:g} in {figures['measure']}, method {figures['method']}")
    for name, layer in figures["layers"].items():
        table.add_row(name, str(layer["w_bits"]), str(layer["a_bits"]), f"{layer['error_share']:.1%}")
    out.print(table)
    table = Table("widths", "mean bits", "cycles", "stream bytes", "expected logits above their error")
    mixed = {"cost": figures["cost"], "expected_snr_db": figures["expected_snr_db"]}
    rows = [("chosen", mixed), *((f"W{row['w_bits']}A{row['a_bits']}", row) for row in figures["uniform"])]
    for title, row in rows:
        cost = row["cost"]
        table.add_row(title, f"{cost['bits']:.2f}", str(cost["cycles"]), str(cost["bytes"]),
                      f"{row['expected_snr_db']:.1f} dB")
    out.print(table)
    out.print(f"widths in {figures['file']}", markup=False)

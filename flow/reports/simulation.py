"""Figures of a simulation: accuracy, differences, cycles by command; as JSON and as tables."""

from collections import defaultdict

import torch
from vitric.compiler.compile import Compiled
from vitric.golden.errors import UserError
from vitric.golden.integer import IntegerViT
from vitric.golden.spec.command import ErrorCode
from vitric.golden.tensors import block_of, short_name
from vitric.sim.accelerator import Run

from ..project.images import TestImages
from ..project.project import Project
from .console import console

__all__ = ["figures_of", "show"]

LISTED = 20


def figures_of(project: Project, model: IntegerViT, compiled: Compiled, chosen: TestImages, run: Run,
               seed: int) -> dict:
    """Return what ``sim.json`` holds, and as ``activity`` what ``activity.json`` does; every value is compared.

    ``seed`` is that of the images, if they are random, and of pauses.

    Raises
    ------
    UserError
        The accelerator reported an error.
    """
    for image, (error, command) in enumerate(run.status):
        if error != ErrorCode.OK:
            raise UserError(f"the accelerator reported {error.name} on image {image} at command {command}")
    trace: dict[str, torch.Tensor] = {}
    logits = model(chosen.images, trace)
    compared = differ = 0
    listed = []
    for image in range(len(chosen.images)):
        result = compiled.compare(trace, image, **run.records(image))
        compared += result.compared
        differ += result.failures
        listed += [vars(mismatch) for mismatch in result.mismatches[:LISTED - len(listed)]]

    commands = _commands(compiled, run)
    cycles = round(sum(command["cycles"] for command in commands), 1)
    spec = compiled.spec
    beats = sum(command["beats"] for command in commands)
    figures = {
        "config": project.name, "spec": spec.name, "images": len(chosen.images), "seed": seed,
        "values_compared": compared, "values_differ": differ, "mismatches": listed,
        "accuracy": _accuracy(project, chosen, logits, run.logits),
        "cycles_per_image": cycles,
        "macs_per_cycle": spec.macs_per_cycle,
        "macs_per_image": project.vit.total_macs,
        "mac_bound_cycles": -(-project.vit.total_macs // spec.macs_per_cycle),
        "array_utilization": project.vit.total_macs / spec.macs_per_cycle / cycles,
        "array_busy": beats / cycles,
        "encoder": _encoder(commands, spec.model_bits),
        "model_words_per_image": len(compiled.stream.words), "model_bits": spec.model_bits,
        "commands": commands, "breakdown": _breakdown(commands),
        "logits": run.logits.tolist(),
        "verilator_cycles": int(run.cycles[-1]), "verilator_cycles_per_second": round(run.cycles_per_second),
        "simulation_seconds": round(run.seconds, 2), "build_seconds": round(run.build_seconds, 2),
    }
    return figures | {"activity": _activity(run)}


def _accuracy(project: Project, chosen: TestImages, golden: torch.Tensor, rtl: torch.Tensor) -> dict:
    """Return accuracies on the images that were run; ``None`` without labels or a float model."""
    if chosen.labels is None:
        return {"float": None, "golden": None, "rtl": None}
    outputs = {"golden": golden, "rtl": rtl}
    if project.weights is not None:
        with torch.no_grad():
            outputs["float"] = project.model(chosen.images)
    return dict.fromkeys(("float", "golden", "rtl")) | {
        name: float((logits.argmax(1) == chosen.labels).float().mean()) for name, logits in outputs.items()}


def _commands(compiled: Compiled, run: Run) -> list[dict]:
    """Return, for each command in order, its name and its mean cycles, array beats and model words per image.

    A command's cycles are those between the completion of the command before it and its own.
    """
    names = {write.index: write.trace if write.head is None else f"{write.trace}[{write.head}]"
             for write in compiled.tensors}
    images = len(run.status)
    totals: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    before = [0, 0, 0]
    for _, command, *counters in run.events.tolist():
        for position, counter in enumerate(counters):
            totals[command][position] += counter - before[position]
        before = counters
    return [
        {"index": index, "tensor": names.get(index, "end"),
         **dict(zip(("cycles", "beats", "model_words"), (total / images for total in totals[index]), strict=True))}
        for index in sorted(totals)
    ]


def _activity(run: Run) -> dict:
    """Return what each engine did in the first image, in cycles from its first model word on."""
    from vitric.hdl.accelerator.tap import ENGINES

    first = run.activity[run.activity[:, 0] == 0]
    begin = int(first[:, 3].min()) if len(first) else 0
    return {"engines": list(ENGINES), "stretches": [
        [engine, command, start - begin, end - begin + 1, active]
        for _, engine, command, start, end, active in first.tolist()]}


def _encoder(commands: list[dict], model_bits: int) -> dict:
    """Return the share of busy cycles and the model stream's bytes per cycle over the commands of encoder blocks.

    The peak is that of the command with the most bytes per cycle. The front end reads ahead as fast as the port
    allows, so a command's words may belong to a later one.
    """
    block = [command for command in commands if block_of(command["tensor"]) is not None]
    cycles = sum(command["cycles"] for command in block)
    rates = [command["model_words"] * model_bits / 8 / command["cycles"] for command in block]
    return {
        "cycles": cycles, "array_busy": sum(command["beats"] for command in block) / cycles,
        "model_bytes_per_cycle_mean": sum(command["model_words"] for command in block) * model_bits / 8 / cycles,
        "model_bytes_per_cycle_peak": max(rates),
    }


def _breakdown(commands: list[dict]) -> list[dict]:
    """Sum commands of the same kind over blocks and heads."""
    groups: dict[str, dict] = {}
    for command in commands:
        kind = short_name(command["tensor"].partition("[")[0])
        group = groups.setdefault(kind, {"kind": kind, "commands": 0, "cycles": 0.0, "beats": 0.0, "model_words": 0.0})
        group["commands"] += 1
        for key in ("cycles", "beats", "model_words"):
            group[key] += command[key]
    return list(groups.values())


def show(figures: dict, *, stderr: bool = False) -> None:
    """Print the figures as tables."""
    from rich.table import Table

    say = console(stderr=stderr)
    table = Table("command", "count", "cycles/image", "share", "array busy", title="cycles by command")
    for name in table.columns[1:]:
        name.justify = "right"
    for group in figures["breakdown"]:
        cycles = group["cycles"]
        table.add_row(
            group["kind"], str(group["commands"]), f"{cycles:.0f}", f"{cycles / figures['cycles_per_image']:.1%}",
            f"{group['beats'] / cycles:.0%}" if cycles else "-")
    say.print(table)

    result = Table.grid(padding=(0, 2))
    accuracy = figures["accuracy"]
    if accuracy["float"] is not None:
        shown = ", ".join(f"{name} {value:.2%}" for name, value in accuracy.items())
        result.add_row("accuracy", f"{shown} on {figures['images']} test images")
    result.add_row("cycles per image", f"{figures['cycles_per_image']:.0f}, MAC bound {figures['mac_bound_cycles']}")
    result.add_row("array", f"utilization {figures['array_utilization']:.1%} of {figures['macs_per_cycle']} MAC/cycle, "
                            f"busy in {figures['array_busy']:.1%} of cycles")
    encoder = figures["encoder"]
    result.add_row("encoder blocks", f"{encoder['cycles']:.0f} cycles, array busy in {encoder['array_busy']:.1%}")
    result.add_row("", f"model stream {encoder['model_bytes_per_cycle_mean']:.2f} bytes/cycle, "
                       f"most in one command {encoder['model_bytes_per_cycle_peak']:.2f}")
    result.add_row("Verilator", f"{figures['verilator_cycles_per_second']} cycles/s, "
                                f"{figures['simulation_seconds']} s (build {figures['build_seconds']} s)")
    differ = figures["values_differ"]
    colour = "red" if differ else "green"
    result.add_row("values compared", str(figures["values_compared"]))
    result.add_row("values that differ", f"[{colour}]{differ}[/]")
    say.print(result)
    for mismatch in figures["mismatches"]:
        say.print(
            f"image {mismatch['image']}, block {mismatch['block']}, tensor {mismatch['tensor']}, "
            f"index {list(mismatch['index'])}, plane {mismatch['plane']}: "
            f"expected {mismatch['expected']}, got {mismatch['got']}", style="red", markup=False)

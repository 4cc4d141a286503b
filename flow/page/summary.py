"""The section that says it all in one screen."""

import platform
from importlib import metadata
from pathlib import Path
from subprocess import DEVNULL, PIPE

from vitric.toolchain.processes import started

from .found import Found
from .parts import Facts, Missing, Note, Part, Section, Table

__all__ = ["summary"]


def summary(found: Found) -> Section:
    """Return what the project is, and what its runs found."""
    project, spec, vit = found.project, found.project.spec, found.project.vit
    info = found.model.info
    widths = ", ".join(f"{name} {info[name]}" for name in ("method", "w_bits", "a_bits", "granularity") if name in info)
    parts: list[Part] = [
        *_verdict(found),
        Facts([
            ("network", f"{vit.image_size} × {vit.image_size} × {vit.in_chans} pixels, patches of {vit.patch_size}, "
                        f"{vit.depth} blocks of {vit.embed_dim} channels and {vit.num_heads} heads, "
                        f"{vit.num_classes} classes, {vit.total_macs:,} MACs an image"),
            ("weights", str(project.weights) if project.weights else "random"),
            ("integer model", widths or "random"),
            ("accelerator", f"{spec.name}: {spec.rows} × {spec.cols} × {spec.depth} = {spec.macs_per_cycle} MAC/cycle "
                            f"of {spec.a_bits} × {spec.w_bits} bits, {spec.drain_cols} columns drained per cycle, "
                            f"model words of {spec.model_bits} bits"),
            ("board", f"{project.board.title} ({project.board.part.name})"),
        ]),
        *_accuracy(found), *_speed(found), *_made(found),
    ]
    return Section(name="summary", title="Summary", parts=parts)


def _verdict(found: Found) -> list[Part]:
    """Return whether the hardware is golden's: what the simulation counted, and its logits, looked at again."""
    sim = found.simulated
    if sim is None:
        return [Missing(what="whether the generated hardware computes the integer model", command=found.command("sim"))]
    compared, differ = sim["values_compared"], sim["values_differ"]
    notes: list[Part] = []
    if differ:
        notes.append(Note(text=f"{differ:,} of {compared:,} values of the generated hardware differ from the integer "
                               "model.", tone="bad"))
        rows = [(str(one["image"]), one["tensor"], str(list(one["index"])), str(one["expected"]), str(one["got"]))
                for one in sim["mismatches"]]
        header = "image", "tensor", "index", "expected", "got"
        notes.append(Table(title="First differences", header=header, rows=rows))
    wrong = other_images(found)
    if wrong:
        notes.append(Note(text=f"The logits in sim.json are not those of this integer model: image {wrong[0]}"
                               + (f" and {len(wrong) - 1} more" if wrong[1:] else "")
                               + f". Run it again: {found.command('sim')}", tone="bad"))
    if not notes:
        notes.append(Note(text=f"All {compared:,} values that the generated hardware wrote for {sim['images']} images "
                               "are those of the integer model.", tone="good"))
    return notes


def other_images(found: Found) -> list[int]:
    """Return the images whose logits of the simulation are not what the integer model gives now."""
    logits, rtl = found.golden[0], found.rtl_logits
    if rtl.shape != logits.shape:
        return list(range(len(logits)))
    return (rtl != logits).any(1).nonzero().flatten().tolist()


def _accuracy(found: Found) -> list[Part]:
    quantized, sim = found.quantized, found.simulated
    rows = []
    if quantized and quantized["test_images"]:
        rows.append((f"{quantized['test_images']:,} test images", *(
            _share(quantized["accuracy"][name]) for name in ("float", "simulated", "integer")), ""))
    if sim and sim["accuracy"]["rtl"] is not None:
        accuracy = sim["accuracy"]
        rows.append((f"{sim['images']} simulated images", _share(accuracy["float"]), "", _share(accuracy["golden"]),
                     _share(accuracy["rtl"])))
    parts: list[Part] = []
    if rows:
        parts.append(Table(title="Accuracy", header=("images", "float", "rounded", "integer", "hardware"), rows=rows))
    if not quantized and found.project.weights:
        parts.append(Missing(what="accuracy on the whole test split", command=found.command("quantize")))
    return parts


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _speed(found: Found) -> list[Part]:
    sim, placed = found.simulated, found.placed
    rows = []
    if sim:
        rows.append(("cycles an image", f"{sim['cycles_per_image']:,.0f} in the simulated hardware, "
                                        f"{found.prediction.cycles:,} by the cycle model; the array alone would take "
                                        f"{sim['mac_bound_cycles']:,}"))
        rows.append(("array", f"busy in {sim['array_busy']:.1%} of the cycles"))
    if placed:
        met = "met" if placed["timing_met"] else "NOT MET"
        rows.append(("clock", f"{placed['clock_mhz']:g} MHz, {placed['fmax_mhz']:.1f} MHz after place and route: "
                              f"{met}"))
        rows.append(("images per second", f"{placed['images_per_second']:,.1f}"))
    parts: list[Part] = [Facts(rows)] if rows else []
    if not placed:
        parts.append(Missing(what="clock, area and images per second on the board", command=found.command("bitstream")))
    return parts


def _made(found: Found) -> list[Part]:
    names = {"quantize.json": "quantize", "sim.json": "sim",
             f"{found.project.settings.board.name}/report.json": "bitstream"}
    rows = [(str(found.project.build / file), found.command(command)) for file, command in names.items()
            if (found.project.build / file).is_file()]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("vitric", "torch", "amaranth"))
    tools = found.placed["tools"] if found.placed else {}
    facts = [("versions", f"{versions}, Python {platform.python_version()}" + "".join(
        f", {name} {version}" for name, version in tools.items() if name not in ("vitric", "amaranth")))]
    if commit := _commit():
        facts.append(("commit", commit))
    if found.simulated:
        facts.append(("seed", f"{found.simulated['seed']} (simulation)"
                      + (f", {found.placed['seed']} (place and route)" if found.placed else "")))
    return [Table(title="What this page was made of", header=("file", "command"), rows=rows, numbers=2), Facts(facts)]


def _commit() -> str | None:
    """Return the commit that vitric runs from; None for an installed one."""
    command = ["git", "describe", "--always", "--dirty", "--tags"]
    with started(command, Path(__file__).parent, stdout=PIPE, stderr=DEVNULL, text=True) as process:
        said = process.communicate()[0]
    return said.strip() or None

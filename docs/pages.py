"""Parts of the documentation that are made from the code: ``python -m docs.pages`` writes them again.

Such a part stands between two comments, ``<!-- begin NAME -->`` and ``<!-- end NAME -->``, and nobody edits it by
hand. ``tests/test_docs.py`` fails if a page does not hold what this module makes.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable
from functools import partial

from vitric.boards.registry import BOARDS
from vitric.flow.cli import COMMANDS
from vitric.flow.fit.area import errors, read_measured
from vitric.flow.start import run
from vitric.flow.studies import STUDIES, study_named
from vitric.flow.studies.evaluate import BITS, bits_label
from vitric.flow.studies.methods import published_order
from vitric.flow.studies.pages import load
from vitric.flow.studies.study import percent
from vitric.formal.catalogue import PROOFS, Proof
from vitric.formal.stream_rules import CHECKS
from vitric.golden.spec.accelerator import SPECS, AcceleratorSpec
from vitric.hdl.units import UNITS
from vitric.integration.registers import ACCESS, REGISTERS
from vitric.toolchain.parts import PARTS as FPGAS

from docs import imports

__all__ = ["FITTED", "PARTS", "RESULTS", "ROOT", "accuracies", "areas", "boards", "commands", "fill", "fitted",
           "literature", "main", "make_help", "part", "parts", "registers", "stream_proofs", "study_results", "units",
           "value_proofs", "widths"]

ROOT = imports.ROOT
_OWN_PAGES = ("roofline", "precision", "gpu")  # of studies; the others are on that of accuracy
_MODELS_IN = {"bram": "block RAM", "sdram": "SDRAM", "external": "outside"}
FITTED = ROOT / "docs" / "fitted.json"
"""What ``python -m bench.fitted`` measured."""


def _marked(name: str) -> re.Pattern:
    return re.compile(rf"(<!-- begin {name} -->\n)(.*?)(<!-- end {name} -->)", re.DOTALL)


def part(text: str, name: str) -> str:
    """Return what stands between the comments of ``name`` in a page; :exc:`ValueError` unless there is one pair."""
    found = _marked(name).findall(text)
    if len(found) != 1:
        raise ValueError(f"the page must have one pair of comments for {name}, not {len(found)}")
    return found[0][1]


def fill(text: str, name: str, body: str) -> str:
    """Return the page with ``body`` between the comments of ``name``; errors as :func:`part`."""
    part(text, name)
    return _marked(name).sub(lambda match: match[1] + body + match[3], text)


def make_help() -> str:
    """Return what ``make`` prints, as a code block."""
    printed = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True,
                             env={"PATH": os.environ["PATH"]}).stdout
    return f"```text\n{printed}```\n"


def commands() -> str:
    """Return the table of the command line's commands."""
    rows = [f"| `vitric {name}` | {summary} |" for name, summary in COMMANDS.items()]
    return "\n".join(["| command | what it does |", "|---|---|", *rows]) + "\n"


def _place(path: str) -> str:
    module, _, name = path.removeprefix("vitric.").partition(":")
    return f"`{name}` of `{module}`"


def units() -> str:
    """Return the table of the units' catalogue."""
    rows = [f"| [{unit.title}]({name}.md) | {unit.summary} | {_place(unit.spec)} | {_place(unit.golden)} | "
            f"{_place(unit.component)} | {', '.join(f'`{fabric}`' for fabric in unit.fabrics)} |"
            for name, unit in UNITS.items()]
    return "\n".join(["| unit | in one line | spec | golden function | component | hardware of its own for |",
                      "|---|---|---|---|---|---|", *rows]) + "\n"


def boards() -> str:
    """Return the table of the boards, by part."""
    rows = {}
    for name, board in BOARDS.items():
        rows.setdefault(board.part.key, []).append(name)
    lines = [f"| {', '.join(f'`{name}`' for name in names)} | {FPGAS[key].title} | {FPGAS[key].lut4} | "
             f"{FPGAS[key].bram} | {FPGAS[key].dsp} | {BOARDS[names[0]].clock_mhz:g} MHz |"
             for key, names in rows.items()]
    return "\n".join(["| board | part | LUT4 | block RAMs | multipliers | clock by default |",
                      "|---|---|---:|---:|---:|---:|", *lines]) + "\n"


def parts() -> str:
    """Return the table of the parts and of what builds for them."""
    rows = []
    for key, fpga in FPGAS.items():
        family = fpga.family
        size = " | ".join(str(count) for count in (fpga.lut4, fpga.ff, fpga.bram, fpga.dsp))
        rows.append(f"| `{key}` | {fpga.title} | `{family.synthesis}` | {family.nextpnr} | {size} |")
    return "\n".join(["| device | part | synthesis | place and route | LUT4 | FF | block RAMs | multipliers |",
                      "|---|---|---|---|---:|---:|---:|---:|", *rows]) + "\n"


def _method(proof: Proof | None) -> str:
    return "" if proof is None else str(proof.method).removesuffix(" (PDR)")


def stream_proofs() -> str:
    """Return the table of the proofs of stream rules, one row for each unit."""
    units = dict.fromkeys(name.rpartition(".")[0] for name in PROOFS if name.rpartition(".")[2] in CHECKS)
    rows = [f"| `{unit}` | {' | '.join(_method(PROOFS.get(f'{unit}.{check}')) for check in CHECKS)} |"
            for unit in units]
    head = f"| proofs of | {' | '.join(f'`{check}`' for check in CHECKS)} |"
    return "\n".join([head, "|---|" + "---|" * len(CHECKS), *rows]) + "\n"


def value_proofs() -> str:
    """Return the table of all other proofs."""
    rows = [f"| `{name}` | {proof.says} | {_method(proof)} |" for name, proof in PROOFS.items()
            if name.rpartition(".")[2] not in CHECKS]
    return "\n".join(["| proof | says | method |", "|---|---|---|", *rows]) + "\n"


_WIDTHS: tuple[tuple[str, str, Callable[[AcceleratorSpec], object]], ...] = (
    ("array, rows × columns × depth", "", lambda s: f"{s.rows} × {s.cols} × {s.depth}"),
    ("activation port", "unsigned", lambda s: s.mac.a_bits),
    ("weight port", "signed, narrow", lambda s: s.mac.w_bits),
    ("dot product of one beat", "signed", lambda s: s.mac.dot_bits),
    ("accumulator", "signed", lambda s: s.mac.acc_bits),
    ("Horner shifts of the accumulator", "left", lambda s: ", ".join(map(str, s.mac.shifts))),
    ("bias", "signed", lambda s: s.requantize.bias_bits),
    ("accumulator + bias", "signed", lambda s: s.requantize.sum_bits),
    ("multiplier's operand", "signed", lambda s: s.requantize.operand_bits),
    ("multiplier", "unsigned", lambda s: s.requantize.multiplier_bits),
    ("product", "signed", lambda s: s.requantize.product_bits),
    ("requantize shift before the product", "right", lambda s: f"0, {s.requantize.narrow_shift}"),
    ("requantize shifts after it", "right", lambda s: ", ".join(map(str, s.requantize.shifts))),
    ("requantized code", "signed or unsigned", lambda s: s.requantize.out_bits),
    ("GELU index", "unsigned", lambda s: s.gelu.index_bits),
    ("GELU entry", "unsigned", lambda s: s.gelu.out_bits),
    ("residual stream", "signed", lambda s: s.residual_bits),
    ("softmax score", "signed", lambda s: s.softmax.score_bits),
    ("softmax score, fraction bits", "", lambda s: s.softmax.frac_bits),
    ("softmax term", "unsigned", lambda s: s.softmax.term_bits),
    ("softmax sum", "unsigned", lambda s: s.softmax.sum_bits),
    ("softmax row norm", "signed", lambda s: s.softmax.norm_bits),
    ("softmax offset", "signed", lambda s: s.softmax.offset_bits),
    ("softmax code", "unsigned", lambda s: s.softmax.out_bits),
    ("LayerNorm input", "signed", lambda s: s.layernorm.in_bits),
    ("LayerNorm S1", "signed", lambda s: s.layernorm.sum_bits),
    ("LayerNorm S2", "unsigned", lambda s: s.layernorm.square_sum_bits),
    ("LayerNorm V", "unsigned", lambda s: s.layernorm.variance_bits),
    ("LayerNorm mean", "signed", lambda s: s.layernorm.mean_bits),
    ("LayerNorm multiplier", "unsigned", lambda s: s.layernorm.multiplier_bits),
    ("LayerNorm y", "signed", lambda s: s.layernorm.y_bits),
    ("LayerNorm y, fraction bits", "", lambda s: s.layernorm.y_fraction),
    ("LayerNorm gamma", "signed", lambda s: s.layernorm.gamma_bits),
    ("LayerNorm gamma, fraction bits", "", lambda s: s.layernorm.gamma_fraction),
    ("LayerNorm beta", "signed", lambda s: s.layernorm.beta_bits),
    ("LayerNorm beta, fraction bits", "", lambda s: s.layernorm.beta_fraction),
    ("LayerNorm code", "unsigned", lambda s: s.layernorm.out_bits),
    ("array word of weights", "bits", lambda s: s.weight_word_bits),
    ("activation tile", "bits", lambda s: s.tile_bits),
    ("residual column", "bits", lambda s: s.residual_word_bits),
    ("model word", "bits", lambda s: s.model_bits),
)


def widths(names: tuple[str, ...] = ("digits", "deit_tiny")) -> str:
    """Return the table of widths of the named specs."""
    specs = [SPECS[name] for name in names]
    rows = [f"| {title} | {kind} | {' | '.join(str(value(spec)) for spec in specs)} |"
            for title, kind, value in _WIDTHS]
    head = f"| number | kind | {' | '.join(f'`{name}`' for name in names)} |"
    return "\n".join([head, "|---|---|" + "---:|" * len(names), *rows]) + "\n"


RESULTS = ROOT / "docs" / "studies"
"""Where ``vitric study --out docs/studies`` leaves results that are committed: JSON and plots."""


def study_results(name: str) -> str:
    """Return tables and plots of the stored results of a study, one network after the other."""
    study = study_named(name)
    return "\n".join(f"{study.table(records)}\n![{study.title}](studies/{stem}.svg)\n"
                     for stem, records in load(study, RESULTS).items())


def literature() -> str:
    """Return the published order of methods beside that of the stored results, one network after the other."""
    return "\n".join(published_order(records) for records in load(study_named("methods"), RESULTS).values())


def accuracies(method: str = "erq") -> str:
    """Return the table of integer accuracies by width, of one method on the networks of the stored results."""
    labels = [bits_label({"w_bits": w_bits, "a_bits": a_bits}) for w_bits, a_bits in BITS]
    lines = [f"| network | float | {' | '.join(labels)} |", f"|---|{'---:|' * (len(labels) + 1)}"]
    for stem, records in load(study_named("methods"), RESULTS).items():
        own = {bits_label(record): record for record in records if record["method"] == method}
        cells = [percent(own[label]["integer"]) for label in labels]
        lines.append(f"| `{stem.partition('-')[2]}` | {percent(own[labels[0]]['float'])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def areas() -> str:
    """Return the table of accelerators that the area model was not fitted to: measured, and what it says of them."""
    measured, names = read_measured(), ("lut_eq", "ff", "dsp", "bram")
    off = errors(measured)
    lines = ["| array | bits | stream | drain | LUT-eq | FF | multipliers | block RAMs |",
             "|---|---|---:|---:|---:|---:|---:|---:|"]
    for item in measured:
        if item.held_out:
            spec = item.spec
            cells = [f"{spec.rows} × {spec.cols} × {spec.depth}", f"{spec.a_bits} × {spec.w_bits}",
                     str(spec.model_bits), str(spec.drain_cols)]
            cells += [f"{getattr(item.area, name):,} ({off[spec.name][name]:+.1%})" for name in names]
            lines.append(f"| {' | '.join(cells)} |")
    for name, words in (("lut_eq", "look-up tables"), ("ff", "flip-flops")):
        sizes = [abs(own[name]) for own in off.values()]
        lines += ["", f"Error of {words}: {sum(sizes) / len(sizes):.1%} on average, {max(sizes):.1%} at most."]
    return "\n".join(lines) + "\n"


def fitted() -> str:
    """Return the table of what `vitric fit` chose for three networks: predicted, and measured where it was."""
    lines = ["| network | models in | array, bits | stream | drain | images/s | | cycles | LUT-eq | FF | multipliers "
             "| block RAMs | MHz |", f"|---|---|---|---:|---:|---:|---|{'---:|' * 6}"]
    for name, row in json.loads(FITTED.read_text(encoding="utf-8")).items():
        spec, placed = row["spec"], row["placed"]
        shape = (f"`{name}`", _MODELS_IN[row["memory"]],
                 f"{spec['rows']} × {spec['cols']} × {spec['depth']}, {spec['a_bits']} × {spec['w_bits']}",
                 str(spec["model_bits"]), str(spec["drain_cols"]), f"{row['images_per_s']:,.0f}")
        speed = f"{placed['fmax_mhz'] * 1e6 / row['measured']['cycles']:,.0f}" if placed else ""
        for how, beside, mhz in (("predicted", shape, f"{row['clock_mhz']:g}"),
                                 ("measured", (*("",) * 5, speed), f"{placed['fmax_mhz']:.1f}" if placed else "")):
            own = row[how]
            figures = (own[key] for key in ("cycles", "lut_eq", "ff", "dsp", "bram"))
            lines.append(f"| {' | '.join((*beside, how, *(f'{figure:,.0f}' for figure in figures), mhz))} |")
    return "\n".join(lines) + "\n"


def registers() -> str:
    """Return the table of the registers of an accelerator in other designs."""
    lines = ["| address | register | bits | field | access | reset | meaning |", "|---|---|---|---|---|---:|---|"]
    for register in REGISTERS:
        for field in register.fields:
            bits = str(field.low) if field.bits == 1 else f"{field.low + field.bits - 1}:{field.low}"
            lines.append(f"| 0x{register.address:02X} | `{register.name}` | {bits} | `{field.name}` | {field.access} | "
                         f"{field.reset if field.access == 'rw' else ''} | {field.summary} |")
    return "\n".join([*lines, "", *(f"*{name}*: {text}." for name, text in ACCESS.items())]) + "\n"


PARTS: dict[tuple[str, str], Callable[[], str]] = {
    ("README.md", "make help"): make_help,
    ("README.md", "commands"): commands,
    ("docs/number-formats.md", "widths"): widths,
    ("docs/units/README.md", "units"): units,
    ("docs/synth.md", "parts"): parts,
    ("docs/board.md", "boards"): boards,
    ("docs/integration.md", "registers"): registers,
    ("docs/fit.md", "areas"): areas,
    ("docs/fit.md", "fitted"): fitted,
    ("docs/verification.md", "stream proofs"): stream_proofs,
    ("docs/verification.md", "value proofs"): value_proofs,
    ("docs/architecture.md", "packages"): imports.diagram,
    ("docs/accuracy.md", "literature"): literature,
    ("docs/precision.md", "accuracies"): accuracies,
    **{(f"docs/{name if name in _OWN_PAGES else 'accuracy'}.md", f"study {name}"): partial(study_results, name)
       for name in STUDIES},
}
"""What makes each part, by page and name."""


def main() -> None:
    """Write every part into its page."""
    for (page, name), made_by in PARTS.items():
        path = ROOT / page
        path.write_text(fill(path.read_text(encoding="utf-8"), name, made_by()), encoding="utf-8")


if __name__ == "__main__":
    run(main)

"""Pack ready-made bitstreams into one archive: ``make release``, or ``python -m bench.release``.

Bitstreams that are not in ``build/`` yet are made with ``--build``, one after the other, which takes hours; a call that
was interrupted goes on where it was. Without it the archive has those that are there, and the others are listed.
"""

import argparse
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from vitric.boards.registry import BOARDS
from vitric.flow.bitstream import build_bitstream
from vitric.flow.project.project import Project, open_project
from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.golden.errors import UserError
from vitric.golden.files import write_bytes
from vitric.toolchain.families import ECP5

from docs.pages import ROOT

__all__ = ["RELEASED", "archive", "main"]

RELEASED = tuple(
    [("tiny", name) for name, board in BOARDS.items() if board.part.family is ECP5] + [("digits", "ulx3s")]
    + [("digits_25f", name) for name, board in BOARDS.items()
       if board.part.family is ECP5 and board.sdram and name != "ulx3s"]
    + [("tiny_small", "tang_nano_20k"), ("digits_small", "tang_nano_20k")])
"""Configurations and boards of an archive."""

_ABOUT = """\
Bitstreams of vitric {version}: a Vision Transformer for handwritten digits on an FPGA.

CONFIG-BOARD.bit is loaded with `vitric program`, or openFPGALoader; then `vitric infer` sends pictures. The model of a
design with SDRAM (sdram in its CONFIG-BOARD.json is not null) is sent first, with `vitric load`. The JSON files say
what was built by which tools, and the clock that it met. SHA256SUMS has a checksum of every file. None of them was
tried on a board by us yet.
"""


def _project(config: str, board: str) -> Project:
    return open_project(config).changed({"board": {"name": board}})


def _ready(config: str, board: str) -> dict[str, bytes]:
    """Return the files of a bitstream that is there and met its clock; none if it is not."""
    folder, product = _project(config, board).build / board, BOARDS[board].product
    try:
        report, bits = (folder / "report.json").read_bytes(), (folder / product).read_bytes()
        met = json.loads(report)["timing_met"]
    except (OSError, ValueError, KeyError):
        return {}
    return {f"{config}-{board}.json": report, f"{config}-{board}{Path(product).suffix}": bits} if met else {}


def archive(pairs: Iterable[tuple[str, str]]) -> tuple[bytes, list[tuple[str, str]]]:
    """Return the archive (tar.gz) of the bitstreams that are there, and the pairs of which there is none.

    The same files give the same archive.

    Raises
    ------
    UserError
        There is none at all.
    """
    files, missing = {}, []
    for pair in pairs:
        found = _ready(*pair)
        files |= found
        if not found:
            missing.append(pair)
    if not files:
        raise UserError("build/ has none of these bitstreams; --build makes them, and takes hours")
    files |= {"LICENSE": (ROOT / "LICENSE").read_bytes(), "README": _ABOUT.format(version=version("vitric")).encode()}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    files["SHA256SUMS"] = sums.encode()
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as zipped, \
            tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"vitric-{version('vitric')}/{name}")
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue(), missing


def main() -> None:
    """Write the archive."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--build", action="store_true", help="make the bitstreams that are not there")
    parser.add_argument("--seeds", type=int, default=8, help="seeds of place and route to try until the clock is met")
    parser.add_argument("--out", type=Path, default=Path("build", f"vitric-{version('vitric')}-bitstreams.tar.gz"))
    options = parser.parse_args()
    if options.build:
        for config, board in RELEASED:
            if not _ready(config, board):
                build_bitstream(_project(config, board), seeds=options.seeds, until_met=True)
    packed, missing = archive(RELEASED)
    write_bytes(options.out, packed)
    for config, board in missing:
        console(stderr=True).print(f"not there: make bitstream CONFIG={config} BOARD={board}", markup=False)
    console().print(f"{options.out}: {len(RELEASED) - len(missing)} of {len(RELEASED)} bitstreams, {len(packed)} bytes",
                    markup=False, soft_wrap=True)


if __name__ == "__main__":
    run(main)

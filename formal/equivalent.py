"""Whether a change to a netlist changes what it does: the proof that a fault is none."""

import re
from pathlib import Path

from .prover import run_abc

__all__ = ["is_equivalent"]

_SCRIPT = """read_rtlil {netlist}
design -save both
{change}
rename top gate
design -stash changed
design -load both
rename top gold
design -copy-from changed gate
miter -equiv -flatten gold gate miter
hierarchy -top miter
delete gold gate
memory_map
opt -full
techmap
opt -fast
dffunmap
opt_clean
setundef -undriven -init -zero
aigmap
opt_clean
write_aiger -miter -I -zinit design.aig
"""

# Signals that correspond are merged first; what is left of the difference is searched for an invariant.
_COMMANDS = "scorr\nwrite_aiger final.aig\npdr -T {seconds}"


_STUCK_REGISTER = re.compile(r"-mode const[01] .*-port Q .*-wire (\S+)")


def _without_init(netlist: str, change: str) -> str | None:
    """Return the command that takes the initial value, all zeros, from a register of which ``change`` makes a constant.

    Yosys refuses an initial value of a constant; registers without one start at zero in the graph. Empty if there is
    nothing to take; None if the initial value has ones.
    """
    found = _STUCK_REGISTER.search(change)
    if found is None:
        return ""
    wire = re.search(rf"((?:^ +attribute .*\n)*)^ +wire (?:.* )?\\{re.escape(found[1])}$", netlist, re.MULTILINE)
    init = wire and re.search(r"\\init \d+'([01x]+)", wire[1])
    if not init:
        return ""
    return None if "1" in init[1] else f"setattr -unset init w:{found[1]}"


def is_equivalent(netlist: Path, change: str, folder: Path, *, seconds: int = 20) -> bool:
    """Prove that a netlist behaves the same after a change: same outputs in every cycle, whatever the inputs.

    Parameters
    ----------
    netlist : pathlib.Path
        RTLIL with one module, ``top``.
    change : str
        Commands of Yosys that change it, such as a line of ``mutate -list``.
    folder : pathlib.Path
        Where files are written; created.
    seconds : int
        Time limit of the search; making the graph and merging may take as long again.

    Returns
    -------
    bool
        True if it was proved; False if there is a difference, if the time was up, or if the change makes a constant
        of a register that does not start at zero.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = netlist.read_text()
    (folder / "netlist.il").write_text(text)
    without_init = _without_init(text, change)
    if without_init is None:
        return False
    script = _SCRIPT.format(netlist="netlist.il", change=f"{change}\n{without_init}")
    status, is_never = run_abc(folder, script, _COMMANDS.format(seconds=seconds), seconds=2 * seconds)
    return is_never or status[0] == "snl_UNSAT"

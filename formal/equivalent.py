"""Whether a change to a netlist changes what it does: the proof that a fault is none."""

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
        True if it was proved; False if there is a difference, or if the time was up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "netlist.il").write_text(netlist.read_text())
    script = _SCRIPT.format(netlist="netlist.il", change=change)
    status, is_never = run_abc(folder, script, _COMMANDS.format(seconds=seconds), seconds=2 * seconds)
    return is_never or status[0] == "snl_UNSAT"

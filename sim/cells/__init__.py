"""Models, in Verilog, of cells of the parts that Yosys has no model of."""

from pathlib import Path

__all__ = ["cell_model"]


def cell_model(name: str) -> Path:
    """Return the Verilog file of a model: ``ccu2c`` or ``mult18x18d`` (ECP5), ``gowin_multipliers``.

    Raises
    ------
    ValueError
        There is no model of that name; the message lists those that are there.
    """
    folder = Path(__file__).parent
    known = sorted(path.stem for path in folder.glob("*.v"))
    if name not in known:
        raise ValueError(f"cell model must be one of {', '.join(known)}, not {name!r}")
    return folder / f"{name}.v"

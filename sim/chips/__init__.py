"""Models, in SystemVerilog, of chips on the boards, that fail where the hardware breaks a rule of their data sheet."""

from pathlib import Path

__all__ = ["FLASH_RULES", "RULES", "flash_model", "sdram_model"]

RULES = (
    "none", "power_up", "sequence", "trp", "trcd", "tras", "tras_max", "trc", "trrd", "twr", "trfc", "trefi", "tmrd",
    "closed", "opened", "busy", "contention", "undriven", "mode", "tck", "cut", "unsupported",
)
"""Rules of the SDRAM model by the number that its port ``fault`` shows."""

FLASH_RULES = (
    "none", "asleep", "waking", "deselect", "unknown", "contention", "held", "fast", "partial", "mode", "continuous",
)
"""Rules of the flash model by the number that its port ``fault`` shows."""


def sdram_model() -> Path:
    """Return the file of the SDRAM model, the module ``sdram_chip``."""
    return Path(__file__).with_name("sdram.sv")


def flash_model() -> Path:
    """Return the file of the flash model, the module ``flash_chip``."""
    return Path(__file__).with_name("flash.sv")

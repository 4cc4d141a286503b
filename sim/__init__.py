"""cocotb testbenches under Verilator, one stream kit, one runner."""

__all__ = ["run"]


def __getattr__(name: str):
    if name == "run":
        from .accelerator import run

        return run
    raise AttributeError(f"module 'vitric.sim' has no attribute {name!r}")

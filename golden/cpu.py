"""What of this machine can change the last bits of float results, and with them what a quantization rounds."""

import os
import platform
import re
from functools import cache
from pathlib import Path

import torch

__all__ = ["float_arithmetic"]

_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")


@cache
def float_arithmetic() -> str:
    """Return a line that is equal on machines whose float results are expected to be equal.

    Matrix libraries choose their loops, and so the order of sums, by the vector instructions of the CPU; variables
    choose fewer of them. The line has torch's choice, the variables, the machine and, where the system tells, the
    vendor and the vector instructions.
    """
    chosen = [f"{name}={os.environ[name]}" for name in _VARIABLES if name in os.environ]
    return " ".join([platform.machine(), torch.backends.cpu.get_cpu_capability(), *_vector_flags(), *chosen])


def _vector_flags() -> list[str]:
    info = Path("/proc/cpuinfo")
    text = info.read_text(errors="replace") if info.exists() else ""
    found = re.findall(r"^(vendor_id|flags)\s*:\s*(.+)$", text, re.MULTILINE)[:2]
    words = " ".join(value for _, value in found).split()
    return sorted({word for word in words if re.match(r"(avx|amx|fma|sse4|Genuine|Authentic)", word)})

"""Latency and energy of a float, half or 8-bit Vision Transformer on a device of torch."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, median
from subprocess import DEVNULL, PIPE, TimeoutExpired
from typing import Any

import torch
from torch import nn
from vitric.golden.spec.vit import VitConfig
from vitric.golden.vit import VisionTransformer
from vitric.toolchain import processes

__all__ = ["Int8Linear", "measure", "network", "power_of"]

_ROWS = 32  # torch._int_mm wants more than 16 rows on CUDA
_WARM = 3


class Int8Linear(nn.Module):
    """A linear layer that multiplies 8-bit integers.

    ``y = (codes(x) · codes(W)ᵀ) * step * scale + bias``: weights have a scale per output channel, ``max|W| / 127``,
    activations one step for the layer, ``max|x| / 127`` of the first call. The product is :func:`torch._int_mm`, int8
    times int8 summed in int32.

    Parameters
    ----------
    linear : nn.Linear
        What it stands for, of any float type, which is also that of inputs and outputs.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(dim=1).clamp(min=1e-12) / 127  # [out]
        codes = (weight / scale.unsqueeze(1)).round().to(torch.int8)
        self.register_buffer("codes", codes.T.contiguous())  # [in, out]
        self.register_buffer("scale", scale.to(linear.weight.dtype))
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())
        self.step: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [..., in] to [..., out]."""
        rows = x.reshape(-1, x.shape[-1])
        if self.step is None:
            self.step = (rows.abs().amax() / 127).clamp(min=1e-6)
        codes = (rows / self.step).round().clamp(-127, 127).to(torch.int8)
        count = len(codes)
        if count < _ROWS:
            codes = nn.functional.pad(codes, (0, 0, 0, _ROWS - count))
        y = torch._int_mm(codes, self.codes)[:count].to(x.dtype) * (self.step * self.scale)
        return (y if self.bias is None else y + self.bias).reshape(*x.shape[:-1], -1)


def network(config: VitConfig, precision: str, device: torch.device) -> nn.Module:
    """Return a network with random weights: ``float32``, ``float16``, or ``int8`` in its linear layers.

    On a CPU bfloat16 stands for float16, which it has few kernels for.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VisionTransformer(config).eval().requires_grad_(False)
    if precision != "float32":
        model = model.to(torch.float16 if device.type == "cuda" else torch.bfloat16)
    model = model.to(device)
    if precision == "int8":
        for owner in list(model.modules()):
            for name, child in list(owner.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(owner, name, Int8Linear(child))
    return model


def power_of(device: torch.device) -> float | None:
    """Return the watts that a device takes now, as nvidia-smi tells; None if it does not."""
    if device.type != "cuda":
        return None
    command = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits",
               f"--id={torch.cuda.get_device_properties(device).uuid}"]
    with processes.started(command, Path(), stdout=PIPE, stderr=DEVNULL, text=True) as process:
        try:
            return float(process.communicate(timeout=5)[0])
        except (TimeoutExpired, ValueError):
            return None


@contextmanager
def _watts(device: torch.device, power) -> Iterator[list[float]]:
    """Collect the power that is told while the block runs."""
    told, stop = [], threading.Event()

    def watch() -> None:
        while not stop.is_set() and (watts := power(device)) is not None:
            told.append(watts)
            stop.wait(0.1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join()


@torch.inference_mode()
def measure(config: VitConfig, precision: str, batch: int, device: torch.device, *, seconds: float,
            power=power_of) -> dict[str, Any]:
    """Return what a batch of random images takes.

    Parameters
    ----------
    config : VitConfig
    precision : str
        As of :func:`network`.
    batch : int
    device : torch.device
    seconds : float
        Batches are repeated for so long at least, and three times.
    power : function (device), optional
        Returns watts, or None.

    Returns
    -------
    dict
        ``device``; ``product``: the function that multiplies; ``latency_ms`` of a batch, the median; ``images_per_s``;
        ``joule_per_image`` of the whole device, None where nobody tells its power; ``repeats``; ``error_db``: power of
        the float32 logits over that of the difference.
    """
    wait = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    shape = (batch, config.in_chans, config.image_size, config.image_size)
    images = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    wanted = network(config, "float32", torch.device("cpu"))(images[:8]).double()
    model = network(config, precision, device)
    pixels = model.normalize(images).to(device)
    for _ in range(_WARM):
        logits = model.forward_normalized(pixels)
    wait()
    times, begin = [], time.perf_counter()
    with _watts(device, power) as watts:
        while len(times) < 3 or time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            model.forward_normalized(pixels)
            wait()
            times.append(time.perf_counter() - start)
    latency = median(times)
    error = wanted - logits[:8].double().cpu()
    names = {"int8": "torch._int_mm", "float16": "torch.nn.functional.linear", "float32": "torch.nn.functional.linear"}
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu", "product": names[precision],
        "latency_ms": round(1e3 * latency, 4), "images_per_s": round(batch / latency, 2),
        "joule_per_image": round(fmean(watts) * latency / batch, 6) if watts else None, "repeats": len(times),
        "error_db": round(float(10 * torch.log10(wanted.square().sum() / error.square().sum().clamp(min=1e-30))), 2),
    }

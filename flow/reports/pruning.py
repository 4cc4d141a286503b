"""What a pruned float model is worth: size, accuracy and cycles, alone and with quantization."""

from typing import TYPE_CHECKING, Any

from vitric.golden.errors import UserError

if TYPE_CHECKING:
    import torch
    from vitric.golden.data.images import ImageData
    from vitric.golden.pruning.prune import Pruning
    from vitric.golden.spec.accelerator import AcceleratorSpec
    from vitric.golden.vit import VisionTransformer

__all__ = ["float_row", "integer_row"]


def float_row(model: "VisionTransformer", pruning: "Pruning", test: "ImageData") -> dict[str, Any]:
    """Return size and accuracy of a float model, in the form of :func:`integer_row`."""
    from vitric.golden.pruning.size import FLOAT_BITS, live_heads, model_bytes
    from vitric.golden.train import accuracy

    return {
        "pruning": pruning.label, "w_bits": FLOAT_BITS, "a_bits": FLOAT_BITS,
        "bytes": model_bytes(model, n_m=pruning.n_m), "accuracy_float": accuracy(model, test), "accuracy_integer": None,
        "cycles": None, "stream_bytes": None, "heads": [live_heads(block.attn) for block in model.blocks],
    }


def integer_row(
    model: "VisionTransformer", pruning: "Pruning", calibration: "torch.Tensor", test: "ImageData",
    spec: "AcceleratorSpec | None", w_bits: int, a_bits: int, **options: str | int,
) -> dict[str, Any]:
    """Return size, accuracy and cycles of a pruned and quantized model.

    Bytes are those of the packed model, indices of N:M included. The accelerator does not pack: cycles and
    ``stream_bytes`` are what it takes, so N:M changes neither, and removed heads change both.

    Parameters
    ----------
    model : VisionTransformer
        From :func:`vitric.golden.pruning.prune.prune`.
    pruning : Pruning
    calibration : integer tensor
        Images.
    test : ImageData
    spec : AcceleratorSpec, optional
        Without one there are no cycles.
    w_bits, a_bits
        Widths; further ``options`` as of :func:`vitric.golden.quantize`.

    Raises
    ------
    UserError
        The model cannot be quantized like this, or does not fit the accelerator.
    """
    from vitric.compiler.compile import compile_model
    from vitric.compiler.cycles import predict
    from vitric.golden import quantize
    from vitric.golden.pruning.size import model_bytes
    from vitric.golden.train import accuracy

    try:
        integer = quantize(model, calibration, w_bits=w_bits, a_bits=a_bits, spec=spec, **options)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error
    cycles = size = None
    if spec is not None:
        stream = compile_model(integer, spec).stream
        cycles, size = predict(stream.commands(), spec).cycles, len(stream.data)
    return float_row(model, pruning, test) | {
        "w_bits": w_bits, "a_bits": a_bits,
        "bytes": model_bytes(model, w_bits, edge_bits=int(integer.info["edge_bits"]), n_m=pruning.n_m),
        "accuracy_integer": accuracy(integer, test), "cycles": cycles, "stream_bytes": size,
    }

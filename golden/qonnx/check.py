"""A QONNX model executed by the qonnx package, beside golden's simulated model and its integer model."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_node, execute_onnx
from qonnx.transformation.change_batchsize import ChangeBatchSize
from qonnx.transformation.infer_shapes import InferShapes

from ..quantization import Lowered
from ..quantization.analysis.simulate import simulate
from .graph import Traced
from .network import QonnxModel

__all__ = ["TOLERANCE", "Comparison", "TensorComparison", "compare"]

TOLERANCE = 2.0**-10
"""Of a value before it is rounded, in steps of its codes; of a real tensor, relative to its largest magnitude.

float32 has 24 bits; codes have up to 8, sums of products and LayerNorms lose a few more.
"""


@dataclass(frozen=True, kw_only=True)
class TensorComparison:
    """One tensor, over all images.

    Parameters
    ----------
    name : str
    values : int
        Values compared.
    outside : int
        Values that differ from the simulated model's by more than :data:`TOLERANCE` where every layer gets that model's
        tensors, so that the difference is the layer's own.
    error : float
        The largest difference of a real tensor there, relative to its largest magnitude; 0 for codes.
    flipped : int
        Codes that differ there, but within the tolerance: what was rounded lies beside the middle of two codes.
    simulated, integer : int or None
        Codes equal to the simulated model's and to the integer model's where the whole graph runs on its own. None for
        real tensors.
    integer_layer : int or None
        Codes equal to the integer model's where every layer gets that model's tensors.
    """

    name: str
    values: int
    outside: int
    error: float
    flipped: int
    simulated: int | None
    integer: int | None
    integer_layer: int | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The outcome of :func:`compare`.

    Parameters
    ----------
    tensors : tuple of TensorComparison
        In the order of computation.
    images : int
    same_class, same_class_integer : int
        Images to which the whole graph gives the class of the simulated and of the integer model.
    logits : float
        Largest difference of the whole graph's logits from the simulated model's, relative to the largest logit.
    """

    tensors: tuple[TensorComparison, ...]
    images: int
    same_class: int
    same_class_integer: int
    logits: float

    @property
    def equal(self) -> bool:
        """No value is outside the tolerance."""
        return not any(tensor.outside for tensor in self.tensors)


class _Runner:
    """Executes the graph of ``model`` for all ``images`` at once."""

    def __init__(self, model: QonnxModel, images: torch.Tensor):
        proto = onnx.ModelProto()
        proto.CopyFrom(model.proto)  # the wrapper changes it
        self._wrapped = ModelWrapper(proto).transform(ChangeBatchSize(len(images))).transform(InferShapes())
        self._images = images.to(torch.float32).numpy()

    def whole(self) -> dict[str, torch.Tensor]:
        """Return every tensor of the graph."""
        context = execute_onnx(self._wrapped, {"images": self._images}, return_full_exec_context=True)
        return {name: torch.tensor(array) for name, array in context.items() if array is not None}

    def forced(self, given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return every tensor of the graph as computed from the ``given`` values of the traced tensors before it."""
        context = self._wrapped.make_empty_exec_context() | {"images": self._images}
        versions = self._wrapped.get_opset_imports()
        result = {}
        for node in self._wrapped.graph.node:
            name = node.output[0]
            execute_node(node, context, self._wrapped.graph, versions[node.domain])
            result[name] = torch.tensor(context[name])
            if name in given:
                context[name] = given[name].to(torch.float32).numpy()
        return result


def _compare(traced: Traced, whole: torch.Tensor, forced: Mapping[str, torch.Tensor], wanted: torch.Tensor,
             integer_layer: torch.Tensor, integer: torch.Tensor) -> TensorComparison:
    """Compare one tensor; ``wanted`` are the simulated model's values in the units of the graph, ``integer`` codes."""
    got = forced[traced.name]
    if traced.quantity is None:
        error = (got - wanted).abs() / wanted.abs().max()
        return TensorComparison(name=traced.name, values=wanted.numel(), outside=int((~(error <= TOLERANCE)).sum()),
                                error=float(error.max()), flipped=0, simulated=None, integer=None, integer_layer=None)
    codes, right = traced.codes(got), traced.codes(wanted)
    steps = forced[traced.unrounded].to(torch.float64) / traced.step
    one, zero = torch.ones((), dtype=torch.float64), torch.tensor(traced.zero_code)
    least, most = (traced.quantity.codes.encode(steps + way, one, zero) for way in (-TOLERANCE, TOLERANCE))
    fine = (least <= codes) & (codes <= most) & (least <= right) & (right <= most) & steps.isfinite()
    alone = traced.codes(whole)
    return TensorComparison(
        name=traced.name, values=wanted.numel(), outside=int((~fine).sum()), error=0.0,
        flipped=int((fine & (codes != right)).sum()), simulated=int((alone == right).sum()),
        integer=int((alone == integer).sum()), integer_layer=int((traced.codes(integer_layer) == integer).sum()))


@torch.no_grad()
def compare(model: QonnxModel, lowered: Lowered, images: torch.Tensor) -> Comparison:
    """Execute ``model`` with the qonnx package and compare it with the model that it was exported from.

    Three times: as a whole; and twice node by node, where every layer gets the tensors of the simulated model or of
    the integer model.

    Parameters
    ----------
    model : QonnxModel
    lowered : Lowered
        What it was exported from.
    images : integer tensor (count, C, H, W)
        Pixel codes. The graph is executed with this batch.
    """
    codes: dict[str, torch.Tensor] = {}
    lowered.model(images, codes, every_token=True)
    real = simulate(lowered, images)
    runner = _Runner(model, images)
    whole = runner.whole()

    def values(name: str, traced: Traced, integer: bool) -> torch.Tensor:
        if traced.quantity is None:
            tensor = lowered.quantities[name].decode(codes[name]) if integer else real[name]
        else:
            tensor = traced.values(codes[name] if integer else traced.quantity.encode(real[name]))
        return tensor.reshape(whole[name].shape)

    simulated, integer = ({name: values(name, traced, flag) for name, traced in model.tensors.items()}
                          for flag in (False, True))
    forced, integer_layer = runner.forced(simulated), runner.forced(integer)
    tensors = tuple(
        _compare(traced, whole[name], forced, simulated[name], integer_layer[name], codes[name].reshape(
            whole[name].shape)) for name, traced in model.tensors.items())
    got, wanted = whole["head"], simulated["head"]
    return Comparison(
        tensors=tensors, images=len(images), logits=float((got - wanted).abs().max() / wanted.abs().max()),
        same_class=int((got.argmax(1) == wanted.argmax(1)).sum()),
        same_class_integer=int((got.argmax(1) == integer["head"].argmax(1)).sum()))

"""The quantized model as QONNX, for other tools.

Needs the packages of the extra ``qonnx``: onnx to build the graph; :mod:`~vitric.golden.qonnx.check`, which executes it
and compares it with golden, also qonnx.
"""

from .graph import DOMAIN, Traced
from .network import TIE, QonnxModel, export

__all__ = ["DOMAIN", "TIE", "QonnxModel", "Traced", "export"]

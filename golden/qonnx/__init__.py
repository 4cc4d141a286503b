"""The quantized model as QONNX, for other tools: the graph, and its execution compared with golden.

Needs the packages of the extra ``qonnx``: onnx to build the graph, qonnx (with onnxruntime) to execute it.
"""

from .check import TOLERANCE, Comparison, TensorComparison, compare
from .graph import DOMAIN, Traced
from .network import QonnxModel, export

__all__ = ["DOMAIN", "TOLERANCE", "Comparison", "QonnxModel", "TensorComparison", "Traced", "compare", "export"]

"""Writes onnxruntime.json: what onnxruntime 1.32 works out for ranges, weights, activations and a linear layer.

Run with: pip install numpy onnx onnxruntime
"""
import json, pathlib
import numpy as np
from onnx import TensorProto, helper
import onnxruntime as ort
from onnxruntime.quantization.quant_utils import compute_scale_zp, get_qmin_qmax_for_qType

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(11)

def parameters(low, high, type, symmetric):
    qmin, qmax = get_qmin_qmax_for_qType(type, symmetric=symmetric)
    low, high = np.array(low, dtype=np.float32), np.array(high, dtype=np.float32)
    zero, scale = compute_scale_zp(low, high, qmin, qmax, symmetric=symmetric)
    return {"low": float(low), "high": float(high), "symmetric": symmetric, "unsigned": type == TensorProto.UINT8,
            "zero": int(zero), "scale": float(np.float32(scale))}

ranges = [parameters(l, h, t, s)
          for l, h in [(-1.2, 3.4), (0.5, 3.4), (-7.25, -0.1), (0, 0), (-1e-3, 2e4)]
          for t, s in [(TensorProto.UINT8, False), (TensorProto.INT8, True), (TensorProto.INT8, False)]]

def run(nodes, inputs, outputs, initializers, feeds):
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return ort.InferenceSession(model.SerializeToString()).run(None, feeds)

def value(name, type, shape): return helper.make_tensor_value_info(name, type, shape)
def const(name, type, array): return helper.make_tensor(name, type, array.shape, array.flatten().tolist())

# QuantizeLinear of values with ties, overflow and negative zero.
x = np.concatenate([rng.normal(0, 2, 200), np.arange(-8, 9) * 0.125, [1e9, -1e9, -0.0]]).astype(np.float32)
(quantized,) = run(
    [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])], [value("x", TensorProto.FLOAT, [None])],
    [value("y", TensorProto.UINT8, [None])],
    [const("s", TensorProto.FLOAT, np.array(0.25, np.float32)), const("z", TensorProto.UINT8, np.array(7, np.uint8))],
    {"x": x})

# QLinearConv with per-channel weights: 1 picture, 3 channels, 6 x 5, 4 outputs, kernel 3, padding 1.
image = rng.integers(0, 256, (1, 3, 6, 5)).astype(np.uint8)
weights = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
bias = rng.integers(-5000, 5000, 4).astype(np.int32)
scales = np.array([0.01, 0.02, 0.005, 0.015], np.float32)
(convolved,) = run(
    [helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], pads=[1, 1, 1, 1])],
    [value("x", TensorProto.UINT8, [1, 3, 6, 5])], [value("y", TensorProto.UINT8, [1, 4, 6, 5])],
    [const("xs", TensorProto.FLOAT, np.array(0.05, np.float32)), const("xz", TensorProto.UINT8, np.array(119, np.uint8)),
     const("w", TensorProto.INT8, weights), const("ws", TensorProto.FLOAT, scales),
     const("wz", TensorProto.INT8, np.zeros(4, np.int8)), const("ys", TensorProto.FLOAT, np.array(0.75, np.float32)),
     const("yz", TensorProto.UINT8, np.array(131, np.uint8)), const("b", TensorProto.INT32, bias)], {"x": image})

(here / "onnxruntime.json").write_text(json.dumps({
    "ranges": ranges,
    "quantize": {"x": [float(v) for v in x], "scale": 0.25, "zero": 7, "y": quantized.tolist()},
    "convolution": {
        "image": image.flatten().tolist(), "weights": weights.flatten().tolist(), "bias": bias.tolist(),
        "weight_scales": [float(s) for s in scales], "input_scale": float(np.float32(0.05)), "input_zero": 119,
        "output_scale": 0.75, "output_zero": 131, "output": convolved.flatten().tolist()},
}, separators=(",", ":")) + "\n")

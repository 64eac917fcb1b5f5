"""Holds exported ONNX models to the packages `onnx` and `onnxruntime`: python check_onnx.py FOLDER

For each NAME.onnx in FOLDER: the full check with strict shape inference, the same bytes when `onnx` writes the model, and for
each NAME.*.safetensors beside it the same numbers as those in it: its tensors are inputs (`in.NAME`; texts as lists of JSON in
the metadata) and outputs (`out.NAME`), and a batch of its first example alone must give the first row.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors import safe_open

TOLERANCE = 1e-4


def read(path):
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        texts = {name: np.array(json.loads(text), dtype=object).reshape(-1, 1)
                 for name, text in (file.metadata() or {}).items()}
    inputs = {name[3:]: value for name, value in (tensors | texts).items() if name.startswith("in.")}
    outputs = {name[4:]: value for name, value in tensors.items() if name.startswith("out.")}
    return inputs, outputs


def compare(name, session, inputs, outputs):
    """The largest difference of any number, relative to those above 1."""
    assert outputs, f"{name}: there is nothing to compare with"
    assert {i.name for i in session.get_inputs()} == set(inputs), f"{name}: {[i.name for i in session.get_inputs()]}"
    worst = 0.0
    for count in (1, None):
        results = session.run(list(outputs), {key: value[:count] for key, value in inputs.items()})
        for key, result in zip(outputs, results):
            expected = outputs[key][:count]
            assert result.shape == expected.shape, f"{name}: {key} has shape {result.shape}, expected {expected.shape}"
            difference = np.abs(result - expected) / np.maximum(1, np.abs(expected))
            worst = max(worst, float(difference.max()))
    assert worst <= TOLERANCE, f"{name}: numbers differ by {worst}"
    return worst


def main():
    folder = pathlib.Path(sys.argv[1])
    models = sorted(folder.glob("*.onnx"))
    assert models, f"{folder} holds no models"
    for path in models:
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        assert model.ir_version == 8 and {s.domain: s.version for s in model.opset_import}[""] == 17, path
        assert model.SerializeToString() == path.read_bytes(), f"{path.name}: `onnx` writes other bytes"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        # Shapes that the file states are those that are inferred.
        bare = onnx.load(path)
        del bare.graph.value_info[:]
        inferred = {v.name: v.type for v in onnx.shape_inference.infer_shapes(bare, data_prop=True).graph.value_info}
        for value in model.graph.value_info:
            found = [d.dim_value for d in inferred[value.name].tensor_type.shape.dim][1:]
            assert found == [d.dim_value for d in value.type.tensor_type.shape.dim][1:], f"{path.name}: {value.name}"
        for case in sorted(folder.glob(path.stem + ".*.safetensors")):
            worst = compare(case.name, session, *read(case))
            print(f"{case.stem}: {len(model.graph.node)} nodes, largest difference {worst:.1e}")


main()

"""Writes the safetensors fixtures beside this file, with the Python package `safetensors` 0.8.0 and numpy 2.4."""
import json, pathlib, struct
import numpy as np
from safetensors.numpy import save_file
from safetensors import deserialize

here = pathlib.Path(__file__).parent

# Every dtype of the engine, an empty tensor, a scalar, names that sort in a telling order.
save_file({
    "b.f32": np.array([[1.5, -2.25, 3e-40], [np.float32(3.4e38), 0.1, -0.0]], dtype=np.float32),
    "a.f32": np.arange(3, dtype=np.float32),
    "f64": np.array([1 / 3, -1e300]),
    "i64": np.array([-(2 ** 63), 2 ** 63 - 1], dtype=np.int64),
    "i32": np.array([[-(2 ** 31)], [2 ** 31 - 1]], dtype=np.int32),
    "i8": np.array([-128, 127, 0], dtype=np.int8),
    "u8": np.array([0, 255], dtype=np.uint8),
    "scalar": np.array(7.0, dtype=np.float32),
    "empty": np.zeros((0, 4), dtype=np.float32),
    'quoted "name" é': np.array([1], dtype=np.uint8),
}, here / "all-dtypes.safetensors", metadata={"mlops": '{"a":"b"}'})

# numpy has no bfloat16, so this file is put together by hand and read back with the package.
halves = np.array([1.0, -0.5, 65504.0, 6e-8, 0.333, np.inf, -0.0], dtype=np.float16)
brain = (np.array([1.0, -0.5, 3.0e38, 1e-40, 0.333], dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)
header = json.dumps({
    "f16": {"dtype": "F16", "shape": [7], "data_offsets": [0, 14]},
    "bf16": {"dtype": "BF16", "shape": [5], "data_offsets": [14, 24]},
    "bool": {"dtype": "BOOL", "shape": [3], "data_offsets": [24, 27]},
}).encode()
data = struct.pack("<Q", len(header)) + header + halves.tobytes() + brain.tobytes() + bytes([1, 0, 1])
assert len(deserialize(data)) == 3
(here / "halves.safetensors").write_bytes(data)

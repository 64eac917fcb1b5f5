"""Reads FOLDER/ours.safetensors with the package `safetensors`, checks its numbers, and writes FOLDER/theirs.safetensors."""

import pathlib
import sys

import ml_dtypes  # noqa: F401  (numpy learns bfloat16 by it)
import numpy as np
from safetensors import deserialize, safe_open
from safetensors.numpy import save_file

folder = pathlib.Path(sys.argv[1])
data = (folder / "ours.safetensors").read_bytes()
tensors = dict(deserialize(data))
VALUES = [1.5, -2.25, 0, 65504, -0.0, np.inf]
NUMPY = {"F32": np.float32, "F64": np.float64, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "I64": np.int64,
         "I32": np.int32, "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_}

seen = set()
for name, tensor in tensors.items():
    array = np.frombuffer(bytes(tensor["data"]), dtype=NUMPY[tensor["dtype"]]).reshape(tensor["shape"])
    if name.startswith("t."):
        seen.add(tensor["dtype"])
        expected = np.array(VALUES if tensor["dtype"] in ("F32", "F64", "F16", "BF16") else [1, 0, 1, 1, 0, 1])
        with np.errstate(over="ignore"):
            expected = expected.astype(NUMPY[tensor["dtype"]]).reshape(2, 3)
        assert array.tobytes() == expected.tobytes(), (name, array)
assert seen == set(NUMPY), seen
assert np.frombuffer(bytes(tensors["view"]["data"]), np.float32).tolist() == [0, 3, 1, 4, 2, 5]
assert tensors["empty"]["shape"] == [0, 4] and tensors['quoted "name" é\n']["shape"] == [1]
with safe_open(folder / "ours.safetensors", framework="numpy") as file:
    assert file.metadata() == {"format": "pt"}
    assert file.get_tensor("scalar") == np.float32(0.1)

arrays = {
    name: np.frombuffer(bytes(tensor["data"]), dtype=NUMPY[tensor["dtype"]]).reshape(tensor["shape"])
    for name, tensor in tensors.items()
}
save_file(arrays, folder / "theirs.safetensors", {"format": "pt"})
print(f"safetensors: {len(tensors)} tensors of {len(seen)} dtypes are the same both ways")

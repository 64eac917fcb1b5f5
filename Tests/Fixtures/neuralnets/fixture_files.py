"""What the scripts of this folder share."""
import json
import os

import torch

torch.manual_seed(20261128)
torch.set_num_threads(1)


def pack(t):
    return {"shape": list(t.shape), "values": [float(f"{v:.9g}") for v in t.detach().double().flatten().tolist()]}


def write(name, content):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "w") as file:
        json.dump({"torch": torch.__version__, **content}, file, separators=(",", ":"))
        file.write("\n")

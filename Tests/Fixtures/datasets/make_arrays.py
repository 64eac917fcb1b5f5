"""Writes the NPY, NPZ, safetensors, PNG and JPEG fixtures beside this file, with numpy 2.4, safetensors 0.8, Pillow 12 and torch 2.15."""
import io, math, pathlib, struct, zlib
import numpy as np
import torch
from PIL import Image, ImageEnhance
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent

# NPY: every type, both byte orders, both layouts, the three versions of the format.
values = np.arange(24).reshape(2, 3, 4)
for name in "b1 u1 i1 u2 i2 u4 i4 u8 i8 f2 f4 f8".split():
    data = (values % 2 == 0) if name == "b1" else (values * 5 - (0 if name[0] == "u" else 60)).astype(name)
    np.save(here / f"npy/little-{name}.npy", data)
    np.save(here / f"npy/big-{name}.npy", data.astype(data.dtype.newbyteorder(">")))
np.save(here / "npy/fortran.npy", np.asfortranarray(values.astype("<f4")))
for version in (1, 2, 3):
    with open(here / f"npy/version-{version}.npy", "wb") as file:
        np.lib.format.write_array(file, values.astype("<i4"), version=(version, 0))
np.save(here / "npy/scalar.npy", np.float64(2.5))
np.save(here / "npy/structure.npy", np.zeros(2, dtype=[("age", "<f4"), ("sex", "u1")]))
np.savez(here / "npy/stored.npz", images=values.astype("u1"), labels=np.array([1, 0]))
np.savez_compressed(here / "npy/deflated.npz", images=np.tile(values.astype("u1"), (4, 1, 1)), labels=np.array([1, 0] * 4))
save_file({"images": values.astype("u1"), "labels": np.array([1, 0], dtype="i8")}, here / "npy/set.safetensors")

# Data sets of arrays: colour pictures with the channels last, numbers with a gap.
pictures = np.random.default_rng(3).integers(0, 256, (6, 5, 7, 3)).astype("u1")
np.savez(here / "npy/colour.npz", x=pictures, planes=pictures.transpose(0, 3, 1, 2), either=pictures[:, :4], y=np.array([0, 1, 2, 0, 1, 2], "i4"))
table = np.array([[1, 10], [2, np.nan], [3, 30], [6, 20]], "f4")
np.savez(here / "npy/table.npz", x=table, y=np.array([0, 1, 1, 0]), wild=np.where(np.isnan(table), np.inf, table),
         negative=np.array([0, -1, 1, 0]), huge=np.array([0, 1, 1 << 40, 0]), floats=np.array([0.0, 1, 1, 0]))

# Pictures: what Pillow sees in each of them is the reference.
random = np.random.default_rng(7)
ramp = np.add.outer(np.arange(12) * 9, np.arange(16) * 8)
colour = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], -1) + random.integers(0, 40, (12, 16, 3))
colour = colour.clip(0, 255).astype("u1")
rgb = Image.fromarray(colour)
alpha = Image.fromarray((ramp % 256).astype("u1"))

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def png(width, height, depth, kind, lines, interlace=0):
    """A PNG file from filtered lines; Pillow writes neither 16-bit colour nor interlaced files."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b""))

def lines_of(array):
    return b"".join(b"\0" + row.tobytes() for row in array)

(here / "pictures/rgb16.png").write_bytes(png(16, 12, 16, 2, lines_of((colour.astype(">u2") * 257))))
passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
(here / "pictures/interlaced.png").write_bytes(
    png(16, 12, 8, 2, b"".join(lines_of(colour[y::dy, x::dx]) for y, x, dy, dx in passes), interlace=1))
(here / "pictures/grey16.png").write_bytes(png(16, 12, 16, 0, lines_of(colour[..., 0].astype(">u2") * 257)))
rgb.convert("L").save(here / "pictures/grey.png")
rgb.convert("1").save(here / "pictures/bits.png")
rgb.save(here / "pictures/rgb.png")
rgba = rgb.copy()
rgba.putalpha(alpha)
rgba.save(here / "pictures/rgba.png")
rgba.convert("LA").save(here / "pictures/grey-alpha.png")
rgb.quantize(16).save(here / "pictures/palette.png")
rgb.quantize(16).save(here / "pictures/palette-alpha.png", transparency=3)
rgb.convert("L").save(here / "pictures/grey.jpg", quality=90)
rgb.save(here / "pictures/rgb.jpg", quality=85)
rgb.save(here / "pictures/progressive.jpeg", quality=95, progressive=True, subsampling=0)
rgb.convert("CMYK").save(here / "pictures/cmyk.jpg", quality=95)

expected = {}
for path in sorted((here / "pictures").iterdir()):
    picture = Image.open(path)
    if picture.mode.startswith("I;16"):
        expected[path.name] = (np.array(picture) / 257).round().astype("u1")
    else:
        expected[path.name] = np.array(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))
expected["grey of rgb"] = np.array(rgb.convert("L"))
for width, height in ((8, 6), (5, 9), (40, 31), (16, 3)):
    expected[f"{width}x{height}"] = np.array(rgb.resize((width, height), Image.Resampling.BILINEAR))
np.savez_compressed(here / "pictures.npz", **expected)

# Augmentation: bilinear turns by torch, colours by Pillow, of the picture as numbers in 0...1.
planes = torch.tensor(colour).permute(2, 0, 1)[None].double() / 255
changed = {}
for degrees in (30, -75, 180):
    angle = math.radians(degrees)
    height, width = planes.shape[2:]
    # Output to source, in coordinates that run over -1...1 whatever the sides.
    theta = torch.tensor([[math.cos(angle), -math.sin(angle) * height / width, 0],
                          [math.sin(angle) * width / height, math.cos(angle), 0]]).double()[None]
    grid = torch.nn.functional.affine_grid(theta, planes.shape, align_corners=False)
    turned = torch.nn.functional.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    changed[f"rotate {degrees}"] = turned[0].float().numpy()
for name, kind in (("brighten", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturate", ImageEnhance.Color)):
    for factor in (0.6, 1.5):
        changed[f"{name} {factor}"] = np.array(kind(rgb).enhance(factor)).transpose(2, 0, 1).astype("f4") / 255
changed["picture"] = planes[0].float().numpy()
np.savez_compressed(here / "augmentation.npz", **changed)

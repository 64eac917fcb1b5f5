"""Writes the gzip and IDX fixtures beside this file, with Python's gzip module (reproducible: mtime 0)."""
import gzip, pathlib, struct

here = pathlib.Path(__file__).parent

def zipped(name, data, parts=1):
    size = (len(data) + parts - 1) // parts
    members = [gzip.compress(data[i:i + size], mtime=0) for i in range(0, len(data), size)]
    (here / name).write_bytes(b"".join(members))

zipped("two-members.csv.gz", b"".join(b"%d,row %d\n" % (i, i) for i in range(1000)), parts=2)
pixels = bytes((i * 7 + 3) % 256 for i in range(12 * 4 * 5))
zipped("images-idx3-ubyte.gz", struct.pack(">IIII", 0x00000803, 12, 4, 5) + pixels)
zipped("labels-idx1-ubyte.gz", struct.pack(">II", 0x00000801, 12) + bytes(i % 3 for i in range(12)))

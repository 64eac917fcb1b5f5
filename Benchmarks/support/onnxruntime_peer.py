"""Inference of STEM.onnx in onnxruntime: `onnxruntime_peer.py STEM BATCH COUNT THREADS` prints the outputs of the first example, then
the time of each run."""

import json
import resource
import sys
import time

import numpy
import onnxruntime


def main():
    stem, batch, count, threads = sys.argv[1], *map(int, sys.argv[2:5])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(f"{stem}.onnx", options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    shape = [batch, *source.shape[1:]]
    numbers = numpy.arange(numpy.prod(shape), dtype=numpy.int64) * 7919 % 1000
    x = (numbers.astype(numpy.float32) / numpy.float32(1000) - numpy.float32(0.5)).reshape(shape)
    times = []
    for step in range(count + 1):
        start = time.perf_counter()
        output = session.run(["logits"], {source.name: x})[0]
        times.append((time.perf_counter() - start) * 1e3)
        if step == 0:
            print(json.dumps({"version": onnxruntime.__version__, "output": output[0].tolist()}), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"milliseconds": times[1 + count // 5:], "peak_mib": peak}), flush=True)


main()

"""Reads the events in FOLDER with TensorBoard's own EventAccumulator and checks what the test wrote."""

import sys

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1])
events.Reload()
tags = events.Tags()
assert tags["scalars"] == ["loss/train"] and tags["histograms"] == ["weights/0"] and tags["images"] == ["filters"], tags
assert [(e.step, round(e.value, 6), e.wall_time) for e in events.Scalars("loss/train")] == [
    (step, round(np.float32(1 / step).item(), 6), 1_700_000_000.5 + step) for step in (1, 2, 3)]
for event in events.Histograms("weights/0"):
    values = np.float32(np.arange(100) * event.step) / np.float32(10) - 2
    histogram = event.histogram_value
    assert histogram.num == 100 and abs(histogram.min - values.min()) < 1e-6 and abs(histogram.max - values.max()) < 1e-5
    assert abs(histogram.sum - values.sum(dtype=float)) < 1e-3
    assert abs(histogram.sum_squares - (values.astype(float) ** 2).sum()) < 1e-2 * event.step ** 2
    edges = np.array([histogram.min, *histogram.bucket_limit])
    expected, _ = np.histogram(values.astype(float), bins=edges)
    assert sum(histogram.bucket) == 100 and np.abs(expected - histogram.bucket).max() <= 1, histogram.bucket
(picture,) = events.Images("filters")
assert (picture.step, picture.width, picture.height) == (3, 3, 2) and picture.encoded_image_string == b"\x89PNG"
print("tensorboard: scalars, histograms and pictures are read")

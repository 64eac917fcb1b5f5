"""Writes curves.tfevents with TensorBoard's own writer and reads it back: pip install tensorboard; python make_tensorboard.py"""

import pathlib
import shutil
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

START = 1_700_000_000.125
fixture = pathlib.Path(__file__).with_name("curves.tfevents")

with open(fixture, "wb") as file:
    writer = RecordWriter(file)
    writer.write(event_pb2.Event(wall_time=START, file_version="brain.Event:2").SerializeToString())
    for step in (1, 2, 3):
        values = {"accuracy/train": 0.5 + step / 10, "loss/train": 1 / step}
        summary = summary_pb2.Summary(
            value=[summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        writer.write(event_pb2.Event(wall_time=START + step, step=step, summary=summary).SerializeToString())

with tempfile.TemporaryDirectory() as folder:
    shutil.copy(fixture, f"{folder}/events.out.tfevents.1700000000.125.1.mlops")
    events = EventAccumulator(folder)
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["accuracy/train", "loss/train"], events.Tags()
    loss = events.Scalars("loss/train")
    assert [event.step for event in loss] == [1, 2, 3]
    assert all(abs(event.value - 1 / event.step) < 1e-6 for event in loss)
    assert [event.wall_time for event in loss] == [START + 1, START + 2, START + 3]
print("fine")

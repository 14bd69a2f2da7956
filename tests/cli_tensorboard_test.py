"""Learning curves for TensorBoard."""

import collections
import struct

import numpy as np
from shell import rows_of, run
from tensorboardX.proto import event_pb2

from ae_jax import grid, tensorboard
from ae_jax.run_folder import curves


def tf_records(path):
  """Records of a TFRECORD file: length, its checksum, data, its checksum."""
  content = path.read_bytes()
  while content:
    (length,) = struct.unpack("<Q", content[:8])
    yield content[12 : 12 + length]
    content = content[16 + length :]


def test_tensorboard_gets_the_learning_curves(tmp_path):
  np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(size=(20, 6)))
  workdir = tmp_path / "run"
  arguments = "--config.sweep.seed=0,1", "--config.fixed.num_epochs=2"
  assert run(workdir, tmp_path / "x.npy", *arguments)[0] == 0
  assert not (workdir / tensorboard.FOLDER).exists()
  workdir = tmp_path / "logged"
  code, _, err = run(
    workdir, tmp_path / "x.npy", *arguments, "--config.tensorboard=True"
  )
  assert code == 0, err
  for row in rows_of(workdir):
    name = f"{row['objective']}-{row['id']}"
    (log,) = (workdir / tensorboard.FOLDER / name).iterdir()
    logged = collections.defaultdict(list)
    for record in tf_records(log):
      event = event_pb2.Event.FromString(record)
      for value in event.summary.value:
        logged[value.tag].append((event.step, value.simple_value))
    own = curves.read_curves(workdir, row["id"])
    assert {*logged} == {*own}
    for term, curve in own.items():
      steps, values = zip(*logged[term], strict=True)
      assert steps == (1, 2)
      np.testing.assert_array_equal(np.float32(values), np.float32(curve))


def test_tensorboard_goes_on_where_a_run_does(tmp_path):
  (trial,) = grid.resolve([{"num_epochs": 5}])
  board = tensorboard.TensorBoard(tmp_path)
  for epoch in (4, 5):
    board.on_epoch([trial], epoch, {"loss": np.array([float(epoch)])})
  (log,) = (tmp_path / tensorboard.FOLDER).glob("*/*")
  events = [event_pb2.Event.FromString(record) for record in tf_records(log)]
  assert [e.step for e in events if e.summary.value] == [4, 5]

"""The input of a program: rows, and which of them each minibatch takes.

The order of an epoch (`epoch_order.py`) is drawn from the seed alone, once for
all trials that share it.
"""

import functools
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from ae_jax.data.dataset import Dataset, Rows
from ae_jax.data.supervision import Pairs, supervise
from ae_jax.epoch_order import batching, epoch_order
from ae_jax.minibatch import Data, examples_of
from ae_jax.sharding import ALIGNMENT, replicate
from ae_jax.types import Array, Labeled, UsageError

# (number of steps) -> (rows as `minibatch.Data`, orders `[seeds,
# steps, batch]` of indices into them): the next steps of some seeds.
Reader = Callable[[int], tuple[Data | np.ndarray, np.ndarray]]

_MAX_STEPS = 512
_KEPT_BYTES = 1 << 28  # of orders, for the trials to come
_BUFFER_BYTES = 1 << 26  # of rows that are streamed
_THREADS = 2


class InputPipeline(Protocol):
  """A train set as programs take it.

  Attributes:
    num_examples: of the whole set.
    features: shape of one example.
    draw: how a step draws its examples, see `training.trainer`.
    validation: what epochs are judged by, in host memory; None: nothing.
  """

  num_examples: int
  features: tuple[int, ...]
  draw: str

  @property
  def validation(self) -> Any:
    """See above."""

  def with_supervision(self, kind: str) -> "InputPipeline":
    """The same examples with labels or partners.

    See `data.supervision.supervise`.
    """

  def rows(self, num_seeds: int, batch_size: int) -> Any:
    """Shapes and types of the rows that a reader gives at a time."""

  def max_steps(self, num_seeds: int, batch_size: int) -> int:
    """How many steps a reader gives at most."""

  def reader(
    self,
    seeds: Sequence[int],
    batch_size: int,
    num_devices: int,
    start: int = 0,
  ) -> Reader:
    """Reads from a step of training on."""


class InMemory:
  """A train set that programs hold whole.

  Attributes:
    train: `[n, *features]`, float32 or uint8; or `Labeled` or `Pairs`.
    num_examples: n.
    features: shape of one example.
    draw: how a step draws its examples, see `training.trainer`.
    dataset: where labels, partners and validation data come from, or None.
    validation: what epochs are judged by, or None.
  """

  def __init__(
    self,
    train: Data | np.ndarray,
    draw: str = "",
    dataset: Dataset | None = None,
    validation: Any = None,
  ):
    self.draw = draw
    self.train = train
    self._validation = lambda: validation
    x = examples_of(train)
    self.num_examples = len(x)
    self.features = x.shape[1:]

    @functools.cache
    def examples_on(num_devices: int) -> Array:
      return replicate(x, num_devices)

    @functools.cache
    def on_devices(num_devices: int) -> Data:
      placed = self._examples_on(num_devices)
      if isinstance(train, Labeled):
        return Labeled(placed, replicate(train.label, num_devices))
      if isinstance(train, Pairs):
        return Pairs(placed, replicate(train.partners, num_devices))
      return placed

    @functools.cache
    def with_supervision(kind: str) -> InMemory:
      if dataset is None:
        raise UsageError("labels and pairs need a dataset")
      of_kind = InMemory(supervise(dataset, x, kind), draw)
      if validation is not None:
        of_kind._validation = lambda: supervise(
          dataset, validation, kind, "validation"
        )
      of_kind._examples_on = self._examples_on
      return of_kind

    self._examples_on = examples_on
    self._on_devices = on_devices
    self.with_supervision = with_supervision

  @property
  def validation(self) -> Any:
    """What epochs are judged by, or None."""
    return self._validation()

  def rows(self, num_seeds: int, batch_size: int) -> Any:
    """The whole train set."""
    del num_seeds, batch_size
    return jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), self.train
    )

  def max_steps(self, num_seeds: int, batch_size: int) -> int:
    """Enough for a call to last."""
    del num_seeds, batch_size
    return _MAX_STEPS

  def reader(
    self,
    seeds: Sequence[int],
    batch_size: int,
    num_devices: int,
    start: int = 0,
  ) -> Reader:
    """Reads from a step of training on."""
    rows = self._on_devices(num_devices)
    orders = orders_of(self.num_examples, batch_size, len(seeds))
    position = start

    def read(num_steps: int) -> tuple[Data | np.ndarray, np.ndarray]:
      nonlocal position
      begin, position = position, position + num_steps
      return rows, np.stack([orders(s, begin, position) for s in seeds])

    return read


class Streamed:
  """A train set that is read while programs run, by Grain's threads.

  Attributes:
    num_examples: n.
    features: shape of one example.
    draw: how a step draws its examples, see `training.trainer`.
    validation: what epochs are judged by, or None.
  """

  def __init__(self, source: Rows, draw: str = "", validation: Any = None):
    self.draw = draw
    self.validation = validation
    self._source = source
    self.num_examples = len(source)
    self.features = source.shape[1:]

  def with_supervision(self, kind: str) -> InputPipeline:
    """Refused."""
    del kind
    raise UsageError("labels and pairs need data in memory: drop data.stream")

  def rows(self, num_seeds: int, batch_size: int) -> jax.ShapeDtypeStruct:
    """Those of a few steps."""
    size, _ = batching(self.num_examples, batch_size)
    num_rows = num_seeds * self.max_steps(num_seeds, batch_size) * size
    return jax.ShapeDtypeStruct((num_rows, *self.features), self._source.dtype)

  def max_steps(self, num_seeds: int, batch_size: int) -> int:
    """As many as fit a buffer."""
    step_bytes = (
      num_seeds
      * batching(self.num_examples, batch_size)[0]
      * math.prod(self.features)
      * self._source.dtype.itemsize
    )
    return max(1, min(_MAX_STEPS, _BUFFER_BYTES // step_bytes))

  def reader(
    self,
    seeds: Sequence[int],
    batch_size: int,
    num_devices: int,
    start: int = 0,
  ) -> Reader:
    """Reads from a step of training on."""
    import grain  # here, because data in memory need none

    orders = orders_of(self.num_examples, batch_size, len(seeds))
    max_steps = self.max_steps(len(seeds), batch_size)
    shape = self.rows(len(seeds), batch_size)
    minibatches = _Minibatches(self._source, orders, seeds, start)
    steps = iter(
      grain.MapDataset.source(minibatches).to_iter_dataset(
        grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=max_steps)
      )
    )
    size, _ = batching(self.num_examples, batch_size)
    by_step = len(seeds), max_steps, size
    places = np.arange(math.prod(by_step), dtype=np.int32).reshape(by_step)

    def read(num_steps: int) -> tuple[Array | np.ndarray, np.ndarray]:
      rows = _aligned(shape.shape, shape.dtype)
      buffer = rows.reshape(*by_step, *self.features)
      for i in range(num_steps):
        buffer[:, i] = next(steps)
      return replicate(rows, num_devices), places[:, :num_steps]

    return read


class _Minibatches:
  """What some seeds read at each step from one on, as a source of Grain."""

  def __init__(
    self,
    source: Rows,
    orders: Callable[[int, int, int], np.ndarray],
    seeds: Sequence[int],
    start: int,
  ):
    self._source, self._orders = source, orders
    self._seeds, self._start = seeds, start

  def __len__(self) -> int:
    return np.iinfo(np.int64).max

  def __getitem__(self, index: int) -> np.ndarray:
    step = self._start + index
    return np.stack(
      [
        self._source[self._orders(seed, step, step + 1)[0]]
        for seed in self._seeds
      ]
    )


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
  """Zeros where JAX can use them without a copy."""
  num_bytes = math.prod(shape) * dtype.itemsize
  raw = np.zeros(num_bytes + ALIGNMENT, np.uint8)
  start = -raw.ctypes.data % ALIGNMENT
  return raw[start : start + num_bytes].view(dtype).reshape(shape)


@functools.lru_cache(maxsize=4096)
def _key(seed: int) -> Array:
  return jax.random.key(np.uint32(seed))


@functools.lru_cache(maxsize=2)
def orders_of(
  num_examples: int, batch_size: int, num_seeds: int
) -> Callable[[int, int, int], np.ndarray]:
  """(seed, start, stop) -> the minibatches of those steps, `[steps, batch]`."""
  _, steps_per_epoch = batching(num_examples, batch_size)
  # At least those of this epoch and, where it ends, of the next.
  most = max(2 * num_seeds, _KEPT_BYTES // (4 * num_examples))

  @functools.lru_cache(maxsize=most)
  def kept(seed: int, epoch: int) -> np.ndarray:
    order = epoch_order(_key(seed), epoch, num_examples, batch_size)
    return np.asarray(order)

  lock = threading.Lock()

  def of_epoch(seed: int, epoch: int) -> np.ndarray:
    with lock:  # threads that wait for one order do not draw it twice
      return kept(seed, epoch)

  def minibatches(seed: int, start: int, stop: int) -> np.ndarray:
    parts = []
    while start < stop:
      epoch, first = divmod(start, steps_per_epoch)
      parts.append(of_epoch(seed, epoch)[first : first + stop - start])
      start += len(parts[-1])
    return np.concatenate(parts)

  return minibatches


def input_pipeline(dataset: Dataset, train: Array) -> InputPipeline:
  """The input of programs: the stream, or else all on the device.

  Args:
    dataset: to train on.
    train: its train set on the device, unless it is to be binarized.
  """
  dataset = dataset.without_anomalies()
  if dataset.stream is not None:
    return Streamed(dataset.stream, dataset.draw, dataset.validation)
  if dataset.binarize:  # `train` is one draw; each step makes another
    train = jax.device_put(dataset.train)
  return InMemory(train, dataset.draw, dataset, dataset.validation)

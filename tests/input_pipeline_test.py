"""What programs are fed with is what a solo run reads."""

import functools

import jax
import numpy as np
import pytest

from ae_jax.engine.input_pipeline import InMemory, orders_of
from ae_jax.epoch_order import epoch_order, order_of

ROWS = np.arange(50, dtype=np.float32)[:, None]


@functools.partial(jax.jit, static_argnums=(2, 3))
def traced_order(seed, epoch, num_examples, batch_size):
  return epoch_order(jax.random.key(seed), epoch, num_examples, batch_size)


def solo(seed, epoch):
  """The order that a trial alone has, inside its compiled epoch."""
  return np.asarray(traced_order(seed, epoch, 50, 8))


def test_an_epoch_visits_no_example_twice_and_leaves_out_less_than_a_batch():
  order = solo(0, 0)
  assert order.shape == (6, 8)
  assert len(np.unique(order)) == 48
  assert (solo(0, 1) != order).any()
  assert (solo(1, 0) != order).any()


def test_orders_go_on_over_epochs_as_those_of_solo_runs():
  read = InMemory(ROWS).reader([3, 5], 8, 1)
  parts = [read(count) for count in (1, 4, 9)]
  for rows, _ in parts:
    np.testing.assert_array_equal(rows, ROWS)
  orders = np.concatenate([orders for _, orders in parts], axis=1)
  assert orders.shape == (2, 14, 8)
  for of_seed, seed in zip(orders, (3, 5), strict=True):
    expected = np.concatenate([solo(seed, epoch) for epoch in range(3)])
    np.testing.assert_array_equal(of_seed, expected[:14])


def test_a_batch_larger_than_the_data_is_all_of_it():
  assert sorted(orders_of(5, 128, 1)(0, 0, 2)[1]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("place", [jax.numpy.asarray, np.array])
def test_devices_of_a_cpu_share_one_copy_of_the_rows(place):
  rows, _ = InMemory(place(ROWS)).reader([0], 8, 2)(1)
  np.testing.assert_array_equal(rows, ROWS)
  assert len(rows.addressable_shards) == 2
  if jax.default_backend() == "cpu":
    pointers = {
      shard.data.unsafe_buffer_pointer() for shard in rows.addressable_shards
    }
    assert len(pointers) == 1


@pytest.mark.parametrize(
  "bits",
  [
    np.random.default_rng(0).integers(0, 2**32, 1000, np.uint32),
    np.random.default_rng(0).integers(0, 7, 1000, np.uint32),  # many are equal
    np.full(9, 2**32 - 1, np.uint32),
  ],
  ids=["random", "few values", "all equal"],
)
def test_host_and_traced_orders_are_the_same(bits):
  on_host, traced = order_of(bits), jax.jit(order_of)(bits)
  assert isinstance(on_host, np.ndarray)
  assert on_host.dtype == traced.dtype == np.int32
  np.testing.assert_array_equal(on_host, traced)
  np.testing.assert_array_equal(on_host, np.argsort(bits, kind="stable"))

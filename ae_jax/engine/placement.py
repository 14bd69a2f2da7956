"""How many trials a program trains at once, and on how many devices."""

import os
from typing import NamedTuple

import jax

from ae_jax.declarations import of_network
from ae_jax.engine.group import group_trainer, stack
from ae_jax.engine.input_pipeline import InputPipeline
from ae_jax.trial import Trial

_CACHE_BYTES = 1 << 20  # of one core of a CPU


class Placement(NamedTuple):
  """How many trials a program trains at once, and where.

  Attributes:
    devices: that the trials are sharded over. A CPU is one device, or as many
      as `jax_num_cpu_devices` says.
    trials_per_device: vmapped on each device.
  """

  devices: int
  trials_per_device: int

  @property
  def size(self) -> int:
    """Trials at once."""
    return self.devices * self.trials_per_device


def first_placement(group: list[Trial], pipeline: InputPipeline) -> Placement:
  """A placement without measuring.

  All devices are used. On a CPU the parameters, moments and gradients of a
  device's trials fit its cache, if that is more than one trial, and a device
  trains one convolutional network; elsewhere all trials train at once. Numbers
  are rounded up, so that grids that are a little wider share programs.
  """
  devices = min(jax.local_device_count(), len(group))
  share = -(-len(group) // devices)
  power = 1 << (share - 1).bit_length()
  if jax.default_backend() != "cpu":
    return Placement(devices, min(power, -(-share // 8) * 8))
  if of_network(group[0].functions["network"]).convolutions:
    return Placement(devices, 1)  # vmapped convolutions are slower there
  key, hyper = jax.tree.map(lambda x: x[0], stack(group[:1]))
  of_data = pipeline.features, pipeline.num_examples, pipeline.draw
  one = group_trainer(group, *of_data)
  params = jax.eval_shape(one.init, key, hyper).params
  needed = 4 * sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(params))
  fitting = max(2, _CACHE_BYTES // needed)
  return Placement(devices, min(power, 1 << (fitting.bit_length() - 1)))


def smaller(placement: Placement) -> Placement:
  """Half as many trials at once, on fewer devices where each has but one."""
  devices, trials = placement
  if trials > 1:
    return Placement(devices, trials // 2)
  return Placement(devices // 2, 1)


def half_of_memory() -> int:
  """Half of what the device has in all, in bytes (a CPU: the machine)."""
  stats = jax.devices()[0].memory_stats()
  if stats and "bytes_limit" in stats:
    return stats["bytes_limit"] // 2
  return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2

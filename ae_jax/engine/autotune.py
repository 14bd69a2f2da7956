"""The fastest placement of a group's trials, measured.

On a CPU a few trials at once stay in the cache, and a device for each core
keeps all cores at work; a GPU wants many trials. What is best depends on the
network and the machine, so a group that trains for long tries its neighbors.
"""

import contextlib
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import NamedTuple

import jax

from ae_jax.engine.group import padded_spec
from ae_jax.engine.input_pipeline import InputPipeline
from ae_jax.engine.placement import Placement, first_placement, smaller
from ae_jax.engine.program import Program, compile_program
from ae_jax.engine.training_loop import TrainingLoop
from ae_jax.trial import Trial
from ae_jax.types import UsageError

_WORTH_SECONDS = 60.0  # shorter groups are trained before measuring would pay
_GAIN = 0.9  # another placement must take less than this share of the time
_ROUNDS = 3
_ROUND_SECONDS = 0.3
_ESTIMATE_SECONDS = 0.01


class OutOfMemory(RuntimeError):  # noqa: N818 - as jaxlib and PyTorch say
  """A program was too large for the memory.

  On a CPU the process must not go on: jaxlib's matrix products were seen to be
  silently wrong after that (0.10.2). A new process can, with the placement.

  Attributes:
    key: what the placement depends on.
    placement: to go on with.
  """

  def __init__(self, key: str, placement: Placement):
    super().__init__(
      "out of memory: start again in a new process; with the same folder it"
      f" goes on with {placement.size} trials at a time"
    )
    self.key = key
    self.placement = placement


class Choice(NamedTuple):
  """What was chosen.

  Attributes:
    key: what it depends on.
    program: compiled.
    seconds: placement -> of a step of one trial; empty where none was measured.
    taken: seconds that compiling and measuring took.
  """

  key: str
  program: Program
  seconds: dict[Placement, float]
  taken: float


def choose(
  group: list[Trial],
  pipeline: InputPipeline,
  memory_bytes: int,
  known: MutableMapping[str, Placement],
  wait: Callable[[], None] = lambda: None,
) -> Choice:
  """Compiles the program that trains a group fastest.

  Starts from `first_placement`. Where that would train for more than a minute,
  a few steps of larger programs are measured, as long as each is faster than
  the one before; if none is, of smaller ones; else of one on a single device.

  Args:
    group: all its trials.
    pipeline: the train set.
    memory_bytes: what a program may take; a single trial may take more.
    known: placements of before, by what they depend on; this one is added.
    wait: for a program that another thread compiles.

  Returns:
    The program, and what was measured.

  Raises:
    OutOfMemory: a program was too large; `known` has a placement to go on with.
    UsageError: one trial alone does not fit the memory.
  """
  begin = time.perf_counter()
  key = _key(group, pipeline, memory_bytes)
  before = known.get(key)
  placement = before or first_placement(group, pipeline)
  with memory_for(group, key, smaller(placement), known):
    wait()
  best = _within(group, pipeline, placement, memory_bytes)
  seconds: dict[Placement, float] = {}
  estimate = 0.0
  if before is None:
    with memory_for(group, key, smaller(best.placement), known):
      estimate = _estimate(best, group, pipeline)
  if estimate > _WORTH_SECONDS:
    with memory_for(group, key, best.placement, known):
      for direction in (_doubled, _halved, _on_one_device):
        better = _along(direction, best, group, pipeline, memory_bytes, seconds)
        if better is not best:
          best = better
          break
  known[key] = best.placement
  return Choice(key, best, seconds, time.perf_counter() - begin)


def placement_to_try(
  group: list[Trial],
  pipeline: InputPipeline,
  memory_bytes: int,
  known: Mapping[str, Placement],
) -> Placement:
  """Whose program `choose` compiles first."""
  before = known.get(_key(group, pipeline, memory_bytes))
  return before or first_placement(group, pipeline)


@contextlib.contextmanager
def memory_for(
  group: list[Trial],
  key: str,
  otherwise: Placement,
  known: MutableMapping[str, Placement],
) -> Iterator[None]:
  """Raises `OutOfMemory` where the code within runs out of memory.

  Args:
    group: whose program it is.
    key: what its placement depends on.
    otherwise: the placement to go on with, which `known` then has.
    known: placements.

  Raises:
    UsageError: there is no smaller placement.
  """
  try:
    yield
  except (jax.errors.JaxRuntimeError, MemoryError) as error:
    if not is_of_memory(error):
      raise
    if otherwise.size < 1:
      raise UsageError(
        f"one trial of {group[0].settings['objective']} does not fit the"
        " memory: lower its latent_size, widths or batch_size"
      ) from error
    known[key] = otherwise
    raise OutOfMemory(key, otherwise) from error


def is_of_memory(error: Exception) -> bool:
  """Whether a device has no more memory; a CPU calls that INTERNAL."""
  return isinstance(error, MemoryError) or any(
    text in str(error) for text in ("RESOURCE_EXHAUSTED", "Out of memory")
  )


def _within(
  group: list[Trial],
  pipeline: InputPipeline,
  placement: Placement,
  memory_bytes: int,
) -> Program:
  """The program of that placement, or of the largest smaller one that fits."""
  while True:
    program = compile_program(group, pipeline, placement)
    if program.memory_bytes <= memory_bytes or placement.size == 1:
      return program
    placement = smaller(placement)


def _along(
  direction: Callable[[Placement, int], Placement | None],
  best: Program,
  group: list[Trial],
  pipeline: InputPipeline,
  memory_bytes: int,
  seconds: dict[Placement, float],
) -> Program:
  """The last program in a direction that was faster than the one before."""
  while placement := direction(best.placement, len(group)):
    other = compile_program(group, pipeline, placement)
    if other.memory_bytes > memory_bytes:
      break
    rounds = [
      [_measure(program, group, pipeline) for program in (best, other)]
      for _ in range(_ROUNDS)
    ]
    before, after = map(statistics.median, zip(*rounds, strict=True))
    seconds[best.placement], seconds[placement] = before, after
    if after > _GAIN * before:
      break
    best = other
  return best


def _doubled(placement: Placement, num_trials: int) -> Placement | None:
  devices, trials = placement
  return (
    None if placement.size >= num_trials else Placement(devices, 2 * trials)
  )


def _halved(placement: Placement, num_trials: int) -> Placement | None:
  del num_trials
  devices, trials = placement
  return Placement(devices, trials // 2) if trials > 1 else None


def _on_one_device(placement: Placement, num_trials: int) -> Placement | None:
  del num_trials
  return Placement(1, placement.size) if placement.devices > 1 else None


def _estimate(
  program: Program, group: list[Trial], pipeline: InputPipeline
) -> float:
  """Seconds that the group will train, from a few steps."""
  num_steps = program.num_epochs * program.steps_per_epoch * len(group)
  seconds = _measure(program, group, pipeline, at_least=_ESTIMATE_SECONDS)
  if seconds * num_steps > _WORTH_SECONDS:  # or another program disturbed it
    seconds = _measure(program, group, pipeline)
  return seconds * num_steps


def _measure(
  program: Program,
  group: list[Trial],
  pipeline: InputPipeline,
  at_least: float = _ROUND_SECONDS,
) -> float:
  """Seconds of a step of one trial, the places left empty counted in."""
  loop = TrainingLoop(program, group[: program.placement.size], pipeline)
  loop.advance(1)
  begin = time.perf_counter()
  while True:
    loop.advance(program.max_steps)
    elapsed = time.perf_counter() - begin
    if elapsed >= at_least:
      break
  num_runs = -(-len(group) // program.placement.size)
  return elapsed / (loop.num_done - 1) * num_runs / len(group)


def _key(group: list[Trial], pipeline: InputPipeline, memory_bytes: int) -> str:
  """What a choice depends on."""
  kind = type(pipeline).__name__ + (pipeline.draw and f" {pipeline.draw}")
  return json.dumps(
    {
      "group": group[0].group,
      "source": group[0].source,
      "spec": str(padded_spec(group, pipeline.features)),
      "trials": len(group),
      "examples": pipeline.num_examples,
      "rows": str(pipeline.rows(1, group[0].settings["batch_size"])),
      "pipeline": kind,
      "memory": memory_bytes,
      "devices": [d.device_kind for d in jax.local_devices()],
      "jax": jax.__version__,
    }
  )

"""The program of the next group is compiled while this one trains."""

from concurrent.futures import Future, ThreadPoolExecutor, wait

from ae_jax.engine.input_pipeline import InputPipeline
from ae_jax.engine.placement import Placement
from ae_jax.engine.program import compile_program
from ae_jax.trial import Trial


class Ahead:
  """Compiles one program at a time in a thread, for `compile_program` to find.

  What goes wrong there is not told: it goes wrong again when the program is
  wanted.
  """

  def __init__(self) -> None:
    self._pool = ThreadPoolExecutor(1)
    self._compiling: Future | None = None

  def __enter__(self) -> "Ahead":
    return self

  def __exit__(self, *_: object) -> None:
    self._pool.shutdown(cancel_futures=True)

  def start(
    self, group: list[Trial], pipeline: InputPipeline, placement: Placement
  ) -> None:
    """Begins to compile."""
    self._compiling = self._pool.submit(
      compile_program, group, pipeline, placement
    )

  def finish(self) -> None:
    """Waits for what was begun: two must not compile the same program."""
    if self._compiling is not None:
      wait([self._compiling])

"""The program of the next group is compiled while this one trains."""

from concurrent.futures import Future, ThreadPoolExecutor

from ae_jax.engine.autotune import is_of_memory
from ae_jax.engine.input_pipeline import InputPipeline
from ae_jax.engine.placement import Placement
from ae_jax.engine.program import compile_program, jax_options
from ae_jax.trial import Trial


class Ahead:
  """Compiles one program at a time in a thread, for `compile_program` to find.

  Leaving its context waits for what is being compiled.
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
    """Begins to compile; nothing where JAX's options are those of a context.

    These are of this thread alone, and the program depends on them.
    """
    options = jax_options()

    def compile_it() -> None:
      if jax_options() == options:
        compile_program(group, pipeline, placement)

    self._compiling = self._pool.submit(compile_it)

  def finish(self) -> None:
    """Waits for what was begun: two must not compile the same program.

    Raises:
      JaxRuntimeError, MemoryError: there is no more memory. Other errors are
        raised when the program is wanted.
    """
    begun, self._compiling = self._compiling, None
    error = None if begun is None else begun.exception()
    if isinstance(error, Exception) and is_of_memory(error):
      raise error

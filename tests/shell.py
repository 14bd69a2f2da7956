"""What the tests of the command line share: calls, and what they leave."""

import contextlib
import csv
import io
import os
import re
from unittest import mock

from ae_jax import report
from ae_jax.cli import sweep
from ae_jax.run_folder import results

TINY = (
  "--config.objective=autoencoder",
  "--config.sweep.latent_size=2",
  "--config.sweep.seed=0",
  "--config.fixed.num_epochs=1",
  "--config.fixed.widths=()",
  "--config.metrics=()",
)


OF_TESTS = ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS")  # see conftest


def user_environment():
  """The environment of a program that compiles as it does for users."""
  return {k: v for k, v in os.environ.items() if k not in OF_TESTS}


def call(main, *arguments):
  """Exit code, stdout and stderr of a program."""
  code = 0
  out, err = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    try:
      main(["program", *map(str, arguments)])
    except SystemExit as exit:
      code = exit.code or 0
  return code, out.getvalue(), err.getvalue()


def without_page():
  """Here a sweep draws no page, which takes longer than tiny trials do."""
  return mock.patch.object(report, "write", lambda folder, *_, **__: folder)


def run(workdir, data, *arguments, page=False):
  """Calls the sweep of one tiny trial."""
  with contextlib.nullcontext() if page else without_page():
    return call(
      sweep.main,
      f"--workdir={workdir}",
      f"--config.data.path={data}",
      *TINY,
      *arguments,
    )


def assert_one_line(result, message):
  """A mistake of the user: one line and exit code 2."""
  code, out, err = result
  assert code == 2, err
  (line,) = err.splitlines()
  assert re.match(f"error: .*{message}", line), line
  assert "Traceback" not in out + err


def rows_of(workdir, without=("seconds", "evaluation_seconds")):
  """The table as text, times aside."""
  with (workdir / results.RESULTS).open(newline="") as file:
    return [
      {k: v for k, v in row.items() if k not in without}
      for row in csv.DictReader(file)
    ]

"""Steps inside one program against a Python loop over a jitted step."""

from collections.abc import Iterator

from experiments.benchmarks.program import prepare, prepare_loop
from experiments.benchmarks.section import Options, Row, Section
from experiments.benchmarks.timing import interleaved


def _rows(options: Options) -> Iterator[Row]:
  for name, problem in options.problems.items():
    for num_trials in _trials(options):
      points = problem.points(num_trials)
      steps = interleaved(
        {
          "scan": prepare(points, problem.feed()).work,
          "loop": prepare_loop(points, problem.data()),
        },
        repeats=options.repeats,
        seconds=options.seconds,
      )
      yield {
        "network": name,
        "trials": num_trials,
        "scan_ms_per_step": steps["scan"].times(1e3),
        "python_ms_per_step": steps["loop"].times(1e3),
        "python_times_scan": steps["loop"].over(steps["scan"]),
      }


def _trials(options: Options) -> tuple[int, ...]:
  return (1, 2) if options.quick else (1, 16)


SECTION = Section(
  "Scan against Python loop",
  "Steps as a sweep runs them, many in one program, against one call of a"
  " jitted and vmapped step after the other.",
  _rows,
  lambda options: len(options.problems) * len(_trials(options)),
)

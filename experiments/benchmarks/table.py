"""The rows of a benchmark as Markdown and as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from experiments.benchmarks.section import Measurement
from experiments.benchmarks.timing import Spread


def markdown(rows: Sequence[Measurement]) -> str:
  """A table; a repeated number is its median, [least-most] behind it."""
  named = dict.fromkeys(name for row in rows for name in row)
  columns = sorted(named, key=lambda name: name == "failed")  # that one last
  right = [
    not isinstance(value, str)
    for value in (
      {n: v for row in rows for n, v in row.items()}[c] for c in columns
    )
  ]
  lines = [
    _line(map(_heading, columns)),
    _line("---:" if numeric else "---" for numeric in right),
    *(_line(_cell(row.get(name)) for name in columns) for row in rows),
  ]
  return "\n".join(lines)


def plain(row: Measurement) -> dict[str, Any]:
  """A row for JSON: every repeat, with median, least and most."""
  return {
    name: {
      "median": value.median,
      "min": min(value.repeats),
      "max": max(value.repeats),
      "repeats": list(value.repeats),
    }
    if isinstance(value, Spread)
    else value
    for name, value in row.items()
  }


def number(value: float) -> str:
  """Three significant digits, whole from 100 on."""
  return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cell(value: Any) -> str:
  match value:
    case None:
      return ""
    case Spread():
      low, high = number(min(value.repeats)), number(max(value.repeats))
      return f"{number(value.median)} [{low}-{high}]"
    case float():
      return number(value)
  return str(value).replace("|", "\\|")


def _heading(column: str) -> str:
  words = column.replace("_", " ")
  return words.replace("mib", "MiB").replace("gflop", "GFLOP")


def _line(cells: Iterable[str]) -> str:
  return f"| {' | '.join(cells)} |"

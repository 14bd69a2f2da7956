"""Columns of metrics by their names, a user's too, and groups of metrics.

A user's metrics are beside the table of `columns`, known once they are named or
read from a run.
"""

import importlib.util
import inspect
from collections.abc import Callable, Iterable, Mapping

from ae_jax import lookup
from ae_jax.declarations import (
  Metric,
  MetricDeclaration,
  declared,
  keyword_only,
)
from ae_jax.extras import require
from ae_jax.metrics.columns import GROUPS, METRICS
from ae_jax.source import source_digest
from ae_jax.types import UsageError

# Those of a user, under the names that a table lists: `module:function@digest`.
OWN_GROUPS: dict[str, dict[str, Metric]] = {}
OWN_FUNCTIONS: dict[str, Callable] = {}


def register(given: str | Callable) -> str:
  """Makes a user's metric known.

  Args:
    given: a function that is declared as a metric, or `module:function`.

  Returns:
    The name of its group, `module:function@digest`: a metric that was changed
    is measured again.

  Raises:
    UsageError: there is no such function, or a column is another metric's.
  """
  function = lookup.find("metric", given)
  declaration = declared(function, MetricDeclaration)
  assert declaration is not None
  names = [*inspect.signature(function).parameters]
  if len(names) != 3 or keyword_only(function):
    raise UsageError(
      f"metric {lookup.name_of('metric', function)} must take (model, params,"
      f" data) and has no hyper-parameters; it takes ({', '.join(names)})"
    )
  digest = source_digest([function])[:8]
  group = f"{lookup.name_of('metric', function)}@{digest}"
  declare(group, declaration.columns)
  OWN_FUNCTIONS[group] = function
  return group


def declare(group: str, columns: Mapping[str, Metric]) -> None:
  """Makes the columns of a user's metric known.

  Raises:
    UsageError: a column is another metric's.
  """
  from ae_jax.settings import (  # here: they know METRICS
    DEFAULTS,
    OPTIONAL,
    RESERVED,
  )

  taken = {*METRICS, *DEFAULTS, *OPTIONAL, *RESERVED}
  for name in columns:
    if (
      name in taken
      or not name.isidentifier()
      or name.startswith(("pca_", "pixels_"))
    ):
      raise UsageError(
        f"metric {group.partition('@')[0]}: the column {name!r} needs a name"
        " that is no other column's"
      )
  OWN_GROUPS.pop(group, None)  # the last one declared counts
  OWN_GROUPS[group] = dict(columns)


def check_columns(metric_groups: Iterable[str]) -> None:
  """Checks that no two of a user's metrics have one column.

  Two digests of one metric have the same columns: the last one counts.

  Raises:
    UsageError: two have.
  """
  of: dict[str, str] = {}
  for group in metric_groups:
    metric = group.partition("@")[0]
    for name in OWN_GROUPS.get(group, ()):
      if of.setdefault(name, metric) != metric:
        raise UsageError(
          f"metrics {of[name]} and {metric} both have the column {name!r}"
        )


def column(name: str) -> Metric | None:
  """What a column of the table is, where it is a metric."""
  if name in METRICS:
    return METRICS[name]
  for columns in reversed(OWN_GROUPS.values()):
    if name in columns:
      return columns[name]
  return None


def more_is_better(name: str) -> bool:
  """Whether the largest value of a column is the best one, not the least.

  Raises:
    UsageError: neither is.
  """
  metric = column(name)
  better = "lower" if metric is None else metric.better
  if not better:
    raise UsageError(f"neither more nor less {name} is better: name another")
  return better == "higher"


def available_groups() -> tuple[str, ...]:
  """The metric groups whose packages are installed: the default."""
  has_coder = importlib.util.find_spec("constriction") is not None
  return tuple(name for name in GROUPS if name != "rate" or has_coder)


def metric_groups(names: Iterable[str | Callable] | str) -> tuple[str, ...]:
  """Checks names of metric groups, and puts them in order.

  Args:
    names: "" names no group; "reconstruction" is always measured. A user's is
      `module:function`, or the function; its module is imported.

  Raises:
    UsageError: a name is unknown, or its group needs a missing package.
  """
  wanted = {}
  for name in [names] if isinstance(names, str) or callable(names) else names:
    if callable(name) or (":" in name and name not in OWN_GROUPS):
      wanted[register(name)] = True
    elif name and name not in GROUPS and name not in OWN_FUNCTIONS:
      raise UsageError(
        f"unknown metrics {name!r}; allowed: {', '.join(GROUPS)}, or"
        " module:function"
      )
    else:
      wanted[name] = True
  if "rate" in wanted:
    require("compression", "constriction")
  own = [name for name in wanted if name in OWN_FUNCTIONS]
  check_columns(own)
  return (
    *(g for g in GROUPS if g in wanted or g == "reconstruction"),
    *own,
  )

"""The columns of a user's metrics in a run: `metrics.json`.

With it a run can be opened, its best trial found and its page written without
the module that measured it.
"""

import json
from collections.abc import Collection
from pathlib import Path

from ae_jax.atomic import DAMAGED, read_text, write_text
from ae_jax.declarations import Metric
from ae_jax.metrics import registry
from ae_jax.types import UsageError

METRICS = "metrics.json"
_MAX_CHARACTERS = 300  # of a text
_MAX_COLUMNS = 1000


def write(folder: Path, metric_groups: Collection[str]) -> None:
  """Keeps the columns of those groups that are a user's."""
  known = registry.OWN_GROUPS
  own = {group: known[group] for group in metric_groups if group in known}
  if not own:
    return
  both = _read(folder) | own
  registry.check_columns(both)
  text = json.dumps(both, indent=2) + "\n"
  write_text(folder / METRICS, text)


def declare(folder: Path) -> None:
  """Adds the columns of a run to the table of metrics.

  Raises:
    UsageError: the file is damaged, or a column is another metric's.
  """
  for group, columns in _read(folder).items():
    if group not in registry.OWN_FUNCTIONS:
      registry.declare(group, columns)


def _read(folder: Path) -> dict[str, dict[str, Metric]]:
  path = folder / METRICS
  try:
    groups = json.loads(read_text(path))
    found = {
      group: {name: Metric(*column) for name, column in columns.items()}
      for group, columns in groups.items()
    }
    if sum(map(len, found.values())) > _MAX_COLUMNS:
      raise ValueError("there are too many columns")
    for group, columns in found.items():
      texts = [group, *columns, *(t for c in columns.values() for t in c)]
      if ":" not in group or not all(
        isinstance(t, str) and len(t) <= _MAX_CHARACTERS for t in texts
      ):
        raise ValueError("a field has another type")
      if any(c.better not in ("lower", "higher", "") for c in columns.values()):
        raise ValueError("a direction is no such word")
  except FileNotFoundError:
    return {}
  except OSError as error:
    raise UsageError(f"cannot read {path}: {error.strerror}") from error
  except (TypeError, AttributeError, *DAMAGED) as error:
    raise UsageError(f"{path} is not a {METRICS} of this program") from error
  return found

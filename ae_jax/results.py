"""What a sweep gives back: rows, and trained trials by index, id or rank."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ae_jax import over_seeds
from ae_jax.data import Dataset, value_range
from ae_jax.diagnostics import diagnostics
from ae_jax.metrics.selection import best_row, listed
from ae_jax.rows import Row
from ae_jax.store import MemoryStore, Store
from ae_jax.trained import Trained
from ae_jax.types import UsageError

_LOADED = 64  # trials that an iteration holds at once


class Results(Sequence[Trained]):
  """The trials of a sweep, in the order of its points.

  `results[2]`, `results["c195520ba7"]` and `results.best()` are `Trained`; a
  run with a folder reads them from there.

  Attributes:
    rows: one dict a trial: `id`, `status`, settings, terms of the loss,
      metrics.
    folder: of the run; None where everything is in memory.
  """

  def __init__(self, store: Store, trial_ids: Sequence[str], dataset: Dataset):
    self._store, self._dataset = store, dataset
    found = store.rows(trial_ids)
    self.rows: list[Row] = [row for row in found if row is not None]
    self.folder: Path | None = getattr(store, "path", None)

  def __len__(self) -> int:
    return len(self.rows)

  def __getitem__(self, key: Any) -> Any:
    """A trial by its index or its id; of a slice several."""
    if isinstance(key, slice):
      return [*self._load([row["id"] for row in self.rows[key]])]
    if isinstance(key, str):
      if key not in {row["id"] for row in self.rows}:
        raise UsageError(
          f"there is no trial {key!r}; the ids are"
          f" {listed([row['id'] for row in self.rows])}"
        )
      return next(self._load([key]))
    return next(self._load([self.rows[key]["id"]]))

  def __iter__(self) -> Iterator[Trained]:
    ids = [row["id"] for row in self.rows]
    for start in range(0, len(ids), _LOADED):
      yield from self._load(ids[start : start + _LOADED])

  def __repr__(self) -> str:
    num_ok = sum(row["status"] == "ok" for row in self.rows)
    where = "" if self.folder is None else f", folder={str(self.folder)!r}"
    return f"Results({len(self)} trials, {num_ok} ok{where})"

  def best(self, by: str | None = None, **where: Any) -> Trained:
    """The best trial by a column, among those with the given settings.

    Args:
      by: the largest value of a metric of which more is better (an accuracy,
        ...), else the least. By default the validation error; where there is
        no validation set, the test error.
      **where: settings that it must have, such as `latent_size=8`.

    Raises:
      UsageError: there is no such column, setting or trial.
    """
    return self[best_row(self.rows, by, where)["id"]]

  @property
  def warnings(self) -> list[str]:
    """What to know before the numbers are believed, see `diagnostics`."""
    histories = {r["id"]: self._store.history(r["id"]) for r in self.rows}
    return diagnostics(self.rows, histories, self._dataset)

  def summary(self, by: str | None = None) -> list[dict[str, Any]]:
    """Settings compared over their seeds, the best first.

    Args:
      by: the column, see `best`.

    Returns:
      A row for each combination of settings but the seed: the settings;
      `BY_mean` and `BY_std` (over n - 1; None of one seed); `num_seeds`;
      `num_lost`, further ones that diverged; and `worse_than_best`, whether its
      mean is worse by more than the noise, see `over_seeds.Summary.is_worse`:
      None of single seeds, whose noise is not known.

    Raises:
      UsageError: there is no such column.
    """
    return over_seeds.summary(self.rows, by)

  def report(self, by: str | None = None) -> Any:
    """Writes the page of the run, `report.html` in its folder.

    Args:
      by: the column that says which trials are best, see `best`.

    Returns:
      The page: a notebook shows it, `path` is its file.

    Raises:
      UsageError: the run has no folder, or there is no such column.
    """
    if self.folder is None:
      raise UsageError("a page is written into a folder: run_sweep(folder=...)")
    from ae_jax import report  # here: it imports this module's users

    path = report.write(
      self.folder, self._dataset, by=by, modules=self._store.modules
    )
    return report.Page(path)

  def _load(self, trial_ids: Sequence[str]) -> Iterator[Trained]:
    if self.folder is not None:
      from ae_jax.run_folder.load import load_trials

      loaded = load_trials(self.folder, trial_ids, self._store.modules)
      return (loaded[trial_id] for trial_id in trial_ids)
    assert isinstance(self._store, MemoryStore)
    store, dataset = self._store, self._dataset
    return (
      Trained.of(
        store.trained[trial_id],
        store.table[trial_id],
        dataset.standardization,
        value_range(dataset),
        dataset.bytes,
      )
      for trial_id in trial_ids
    )

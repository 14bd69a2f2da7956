"""UDR: how similar the units are that the seeds of each setting found."""

import collections
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ae_jax import over_seeds
from ae_jax.data import Dataset
from ae_jax.lookup import Modules
from ae_jax.metrics.udr import unsupervised_disentanglement_ranking
from ae_jax.report import trials
from ae_jax.report.examples import encode, raw_held_out_examples
from ae_jax.report.trials import TextRows
from ae_jax.run_folder import curves, load
from ae_jax.run_folder.results import TextRow

_MODELS = 32  # held in memory at once


def ranked(
  folder: Path, rows: TextRows, dataset: Dataset, modules: Modules = ()
) -> list[TextRow]:
  """The rows, with a column `udr` where a setting has several seeds.

  Of trials that ended well and whose units have a divergence (`kl` in
  `units/`); the codes are those of validation examples, or else of test
  examples.
  """
  settings = [name for name in over_seeds.settings(rows) if name != "seed"]
  kl: dict[str, np.ndarray] = {}
  groups = collections.defaultdict(list)
  for row in trials.ok(rows):
    units = curves.read_units(folder, row["id"])
    if "kl" in units:
      kl[row["id"]] = units["kl"]
      groups[tuple(row.get(name) for name in settings)].append(row["id"])
  repeated = [ids for ids in groups.values() if len(ids) > 1]
  ids = [trial_id for same in repeated for trial_id in same]
  x, label = raw_held_out_examples(dataset)
  codes: dict[str, np.ndarray] = {}
  for start in range(0, len(ids), _MODELS):
    models = load.load_trials(folder, ids[start : start + _MODELS], modules)
    codes |= {k: encode(model, x, label) for k, model in models.items()}
  scores: Mapping[str, float] = {
    trial_id: score
    for same in repeated
    for trial_id, score in zip(
      same,
      unsupervised_disentanglement_ranking(
        [codes[i] for i in same], [kl[i] for i in same]
      ).tolist(),
      strict=True,
    )
  }
  return [
    row | ({"udr": str(scores[row["id"]])} if row["id"] in scores else {})
    for row in rows
  ]

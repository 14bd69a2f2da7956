"""Disentanglement by scikit-learn's classifiers, and under interventions.

One trial at a time, on the host. Factors of one value are left out.
"""

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

NAMES = (
  "dci_disentanglement",
  "dci_completeness",
  "dci_informativeness",
  "explicitness",
  "irs",
)
_NUM_TREES, _MAX_EXAMPLES = 10, 5_000
_DEPTHS = (None, 16, 8, 4)  # of equally good ones the first
_QUANTILE = 0.99


def metrics(z: np.ndarray, factors: np.ndarray) -> dict[str, float]:
  """All of `NAMES`.

  Classifiers are fitted to the first half of the codes (at most 5,000), and
  tested on as many of the second.

  Args:
    z: codes `[n, latent]`.
    factors: `[n, factors]`, integers.

  Returns:
    name -> a number in [0, 1]; NaN where a code is not finite or where no
    factor varies.
  """
  varies = [len(np.unique(v[: len(v) // 2])) > 1 for v in factors.T]
  if not (np.isfinite(z).all() and any(varies)):
    return dict.fromkeys(NAMES, np.nan)
  factors = factors[:, varies]
  half = min(len(z) // 2, _MAX_EXAMPLES)
  train, test = slice(half), slice(half, 2 * half)
  return _dci(z, factors, train, test) | {
    "explicitness": _explicitness(z, factors, train, test),
    "irs": _interventional_robustness(z, factors),
  }


def _dci(
  z: np.ndarray, factors: np.ndarray, train: slice, test: slice
) -> dict[str, float]:
  """Disentanglement, completeness and informativeness, by random forests.

  The importances `R_jk` of the units for each factor, of a forest of ten trees,
  make `P_jk = R_jk / sum_k R_jk`: disentanglement is `1 - H_K(P_j)`, mean over
  units weighted by their share of all importances; completeness the same over
  units for each factor; informativeness the accuracy on codes held out.
  Locatello et al. 2019 have gradient boosting in the place of forests.

  References:
    Eastwood and Williams, "A Framework for the Quantitative Evaluation of
    Disentangled Representations", 2018, section 2.
  """
  importances, accuracies = [], []
  for values in factors.T:
    forest = _forest(z[train], values[train])
    importances.append(forest.feature_importances_)
    accuracies.append(forest.score(z[test], values[test]))
  matrix = np.stack(importances, axis=1)  # [latent, factors]
  of_units = _concentration(matrix)
  weights = matrix.sum(axis=1) / (matrix.sum() or 1)  # constant codes: all 0
  return {
    "dci_disentanglement": float(np.sum(weights * of_units)),
    "dci_completeness": float(np.mean(_concentration(matrix.T))),
    "dci_informativeness": float(np.mean(accuracies)),
  }


def _forest(z: np.ndarray, values: np.ndarray) -> RandomForestClassifier:
  """Ten trees of the depth that is best on one half of the rows.

  Trees without a limit fit the noise of a code as well: every unit then has
  some importance for every factor.
  """
  half = len(z) // 2

  def fitted(depth: int | None, rows: slice) -> RandomForestClassifier:
    forest = RandomForestClassifier(
      _NUM_TREES, max_depth=depth, max_features=None, random_state=0
    )
    return forest.fit(z[rows], values[rows])

  def accuracy(depth: int | None) -> float:
    return fitted(depth, slice(half)).score(z[half:], values[half:])

  return fitted(max(_DEPTHS, key=accuracy), slice(None))


def _concentration(importances: np.ndarray) -> np.ndarray:
  """`1 - H(P_i) / log n` of each row; 0 of one without any importance."""
  total = importances.sum(axis=1, keepdims=True)
  count = importances.shape[1]
  share = np.where(total > 0, importances / np.maximum(total, 1e-30), 1 / count)
  logs = np.log(np.where(share > 0, share, 1.0))
  return 1 + np.sum(share * logs, axis=1) / np.log(max(count, 2))


def _explicitness(
  z: np.ndarray, factors: np.ndarray, train: slice, test: slice
) -> float:
  """Area under the ROC of a logistic regression, mean over factors and values.

  Codes are standardized; of one multinomial regression a factor, the
  probability of each value is ranked against the other values. All values count
  alike; in Locatello et al. 2019 all factors do.

  References:
    Ridgeway and Mozer, "Learning Deep Disentangled Embeddings with the
    F-Statistic Loss", 2018, section 3.
  """
  std = z[train].std(axis=0)
  x = (z - z[train].mean(axis=0)) / np.where(std > 0, std, 1)
  areas = []
  for values in factors.T:
    model = LogisticRegression(max_iter=300).fit(x[train], values[train])
    scores = model.predict_proba(x[test])
    areas += [
      roc_auc_score(values[test] == value, scores[:, i])
      for i, value in enumerate(model.classes_)
      if 0 < np.mean(values[test] == value) < 1
    ]
  return float(np.mean(areas))


def _interventional_robustness(z: np.ndarray, factors: np.ndarray) -> float:
  """IRS: how little a unit moves while its factor stays, whatever others do.

  `1 - sum_v p(v) D_v / D` of each unit and factor: D_v is the 0.99 quantile of
  the distance to the mean among examples of a value v, D the largest distance
  to the mean of all. The best factor of each unit counts, weighted by D.

  References:
    Suter et al., "Robustly Disentangled Causal Mechanisms", 2019, eq. 10.
  """
  largest = np.abs(z - z.mean(axis=0)).max(axis=0)
  if not largest.any():
    return 0.0
  moved = np.zeros((z.shape[1], factors.shape[1]))
  for k, values in enumerate(factors.T):
    for value in np.unique(values):
      own = z[values == value]
      away = np.abs(own - own.mean(axis=0))
      moved[:, k] += len(own) / len(z) * np.quantile(away, _QUANTILE, axis=0)
  share = moved.min(axis=1) / np.where(largest > 0, largest, 1)
  return float(np.average(1 - share, weights=largest))

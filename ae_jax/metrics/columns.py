"""The columns of the metrics that ship: unit, direction, meaning.

Most exist twice: `validation_NAME`, by which is chosen, and `test_NAME`, which
is reported; `held_out_columns` makes the two. A metric that needs something
that is missing (labels, data in [0, 1], a Gaussian code) is left out of the
row. `pca_NAME` is the same metric of a PCA with as many components,
`pixels_NAME` that of the data itself, `isolation_forest_NAME` that of an
isolation forest, by its own score, `train_mean_NAME` that of the train set's
means.
"""

import re
from collections.abc import Mapping

from ae_jax.declarations import Metric

NUM_SAMPLES = 64  # of the importance-weighted bound
NUM_COMPONENTS = 2000  # examples that the aggregate posterior is a mixture of
NUM_JACOBIANS = 128  # test examples whose Jacobian is taken
NUM_NEIGHBORS = 5  # of the k-nearest-neighbor classifier
DEPTHS = (1, 10, 100)  # lengths of the lists of nearest codes
HIDDEN = (0.1, 0.3, 0.5)  # shares of entries
NOISES = (0.1, 0.3, 0.5)
STEPS = (0.1, 0.2, 0.5, 1, 2)  # that codes are rounded to
CORRUPTIONS = ("gaussian", "masking", "salt_and_pepper")

# What a group that is not in ON_ALL is measured on, at most, see `subset`.
MOST_TRAIN, MOST_HELD_OUT = 10_000, 5_000
ON_ALL = ("reconstruction", "anomaly", "disentanglement")

HELD_OUT = ("validation", "test")


def held_out_columns(
  metrics: Mapping[str, Metric], on_all: bool
) -> dict[str, Metric]:
  """The columns of metrics of held-out examples, those of a part together.

  Args:
    metrics: of a group.
    on_all: whether all examples are always measured.
  """
  most = "" if on_all else f"{MOST_HELD_OUT:,} or all "
  return {
    f"{part}_{name}": metric._replace(
      meaning=f"{metric.meaning}; {most}{part} examples"
    )
    for part in HELD_OUT
    for name, metric in metrics.items()
  }


def validated(name: str) -> str:
  """The column of validation examples that belongs to one of test examples."""
  return re.sub(rf"^({'|'.join(BASELINES)})?test_", r"\1validation_", name)


_SQUARED = "squared error"
_RECONSTRUCTION = {
  "train_squared_error": Metric(
    _SQUARED, "lower", "||x - x~||^2, summed over features; train examples"
  ),
} | held_out_columns(
  {
    "squared_error": Metric(
      _SQUARED, "lower", "||x - x~||^2, summed over features"
    ),
    "clipped_squared_error": Metric(
      _SQUARED, "lower", "the same, x~ clipped to [0, 1]"
    ),
    "cross_entropy": Metric(
      "nats",
      "lower",
      "Bernoulli cross-entropy of x and x~, summed over features",
    ),
  },
  on_all=True,
)
_FEATURES = {
  "probe_accuracy": Metric(
    "share", "higher", "accuracy of a logistic regression on the train codes"
  ),
  "silhouette": Metric(
    "-1 ... 1", "higher", "how far classes lie apart in the codes"
  ),
}
_NEIGHBORS = {
  "knn_accuracy": Metric(
    "share",
    "higher",
    f"accuracy of the vote of the {NUM_NEIGHBORS} nearest train codes",
  ),
  **{
    f"precision_at_{k}": Metric(
      "share", "higher", f"of the {k} nearest train codes, those of the class"
    )
    for k in DEPTHS
  },
  "mean_average_precision": Metric(
    "share", "higher", f"average precision within the {max(DEPTHS)} nearest"
  ),
}
_ACTIVITY = {
  "code_mean": Metric("code", "", "mean activation of all units"),
  "active_share": Metric(
    "share", "", "activations above 1e-3 of their unit's deviation"
  ),
  "dead_units": Metric("units", "lower", "units whose code never varies"),
  "hoyer_sparsity": Metric(
    "0 ... 1", "", "Hoyer's sparsity of codes, units by their deviations"
  ),
  "jacobian_norm": Metric(
    "code / data",
    "",
    f"||df/dx||_F, mean over at most {NUM_JACOBIANS}",
  ),
  "relative_jacobian_norm": Metric(
    "1 / data", "", "the same by the standard deviation of the code"
  ),
}
_NOISE = {
  f"squared_error_{corruption}_{noise}": Metric(
    _SQUARED,
    "lower",
    f"||x - g(f(x_noisy))||^2, {corruption} noise of"
    f" {'variance' if corruption == 'gaussian' else 'probability'} {noise}",
  )
  for corruption in CORRUPTIONS
  for noise in NOISES
}
_IMPUTATION = {
  f"imputation_error_{share}": Metric(
    "squared error",
    "lower",
    f"(x - x~)^2, mean over the {share} of the entries that are hidden",
  )
  for share in HIDDEN
}
_BOUNDS = {
  "reconstruction": "E_q[-log p(x|z)]",
  "negative_elbo": "E_q[-log p(x|z)] + KL(q(z|x) || p(z))",
  "nll": f"-log p(x), importance-weighted bound, {NUM_SAMPLES} samples",
}
_KL = "KL(q(z|x) || p(z))"
# Kind of a likelihood -> what is in the names of its bounds: no column holds
# two kinds, so that nothing ranks one against another.
BOUND_OF = {
  "mass": "",
  "given_total": "_given_total",
  "density": "_density",
  "mixed": "_mixed",
  "unnormalized": "_unnormalized",
}
_UNITS = {
  "mass": "nats",
  "given_total": "nats, given the total of x",
  "density": "nats, density",
  "mixed": "nats, density and mass",
  "unnormalized": "nats, without a normalizer",
}
_LIKELIHOOD = {
  **{
    f"{name}{BOUND_OF[kind]}_nats": Metric(unit, "lower", meaning)
    for kind, unit in _UNITS.items()
    for name, meaning in _BOUNDS.items()
  },
  "kl_nats": Metric("nats", "", _KL),
  **{
    f"{name}_bits_per_dim": Metric("bits/dim", "lower", meaning)
    for name, meaning in _BOUNDS.items()
  },
  "kl_bits_per_dim": Metric("bits/dim", "", _KL),
  "mutual_information_nats": Metric(
    "nats",
    "",
    "mean KL(q(z|x) || q(z)), q(z) the mean of q(z|x) over at most"
    f" {NUM_COMPONENTS:,} examples; at most the log of their number",
  ),
  "marginal_kl_nats": Metric(
    "nats", "", "KL(q(z) || p(z)) of the same: the rest of KL(q(z|x) || p(z))"
  ),
  "active_units": Metric(
    "units", "", "units whose posterior mean has a variance above 0.01"
  ),
}
_RATE = {
  f"{name}_at_bin_{step}": Metric(
    unit,
    "lower",
    f"{meaning} codes rounded to {step} of their standard deviation",
  )
  for step in STEPS
  for name, unit, meaning in (
    ("rate", "bits/dim", "size after entropy coding of"),
    ("squared_error", _SQUARED, "||x - x~||^2, decoded from"),
  )
}
_ANOMALY = {
  "anomaly_auroc": Metric(
    "share",
    "higher",
    "area under the ROC of classes held out of training, scored by the error",
  ),
  "anomaly_average_precision": Metric(
    "share", "higher", "average precision of the same"
  ),
}
_ANOMALY_BY_ELBO = {
  f"{name}_elbo": metric._replace(meaning=f"{metric.meaning}, by -ELBO instead")
  for name, metric in _ANOMALY.items()
}
_DISENTANGLEMENT = {
  name: Metric("share", "higher", meaning)
  for name, meaning in {
    "beta_vae_score": "accuracy of naming the factor that pairs of codes share",
    "factor_vae_score": "the same, from the unit that varies least",
    "mig": "mutual information gap of each factor's two best units",
    "sap": "gap of each factor's two best units, each alone predicting it",
    "modularity": "how far a unit depends on one factor only",
    "dci_disentanglement": "the same, by the importances of a random forest",
    "dci_completeness": "how far a factor is captured by one unit alone",
    "dci_informativeness": "accuracy of the forest on codes held out",
    "explicitness": "area under the ROC of a logistic regression on the codes",
    "irs": "how little a unit moves while its factor stays",
  }.items()
}

GROUPS: dict[str, dict[str, Metric]] = {
  "reconstruction": _RECONSTRUCTION,
  **{
    group: held_out_columns(metrics, group in ON_ALL)
    for group, metrics in {
      "features": _FEATURES,
      "neighbors": _NEIGHBORS,
      "activity": _ACTIVITY,
      "noise": _NOISE,
      "imputation": _IMPUTATION,
      "likelihood": _LIKELIHOOD,
      "rate": _RATE,
      "anomaly": _ANOMALY | _ANOMALY_BY_ELBO,
    }.items()
  },
  "disentanglement": _DISENTANGLEMENT,
}
PCA_GROUPS = (
  "reconstruction",
  "features",
  "neighbors",
  "imputation",
  "rate",
  "anomaly",
)
BASELINES = ("pca_", "pixels_", "isolation_forest_", "train_mean_")
_OWN = {
  name: metric for group in GROUPS.values() for name, metric in group.items()
}


def _prefixed(prefix: str, of: str, *groups: dict[str, Metric]) -> dict:
  return {
    f"{prefix}_{name}": metric._replace(meaning=f"{of}: {metric.meaning}")
    for group in groups
    for name, metric in group.items()
    if not name.endswith("_elbo")  # which no baseline has
  }


METRICS: dict[str, Metric] = {
  **_OWN,
  **_prefixed(
    "pca", "PCA of that size", *(GROUPS[name] for name in PCA_GROUPS)
  ),
  **_prefixed(
    "pixels", "the data itself", GROUPS["features"], GROUPS["neighbors"]
  ),
  **_prefixed("train_mean", "the train set's means", GROUPS["imputation"]),
  **_prefixed("isolation_forest", "an isolation forest", GROUPS["anomaly"]),
  "udr": Metric(
    "share", "higher", "how alike the units of all seeds are; on the page only"
  ),
}

"""Warnings of a run: each is told where it is true, and nowhere else."""

import re

import numpy as np
import pytest
from sklearn.datasets import load_wine

import ae_jax
from ae_jax import data, diagnostics

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 6)) * 0.1).astype("f")
FLAT = np.full(10, 2.0)


def row(trial, **values):
  return {
    "id": trial,
    "status": "ok",
    "objective": "vae",
    "latent_size": 4,
    "test_squared_error": 1.0,
    "pca_test_squared_error": 2.0,
  } | values


def test_a_good_run_has_no_warning():
  rows = [
    row(
      "a",
      test_active_units=4,
      test_probe_accuracy=1.0,
      test_silhouette=-1.0,
    )
  ]
  histories = {"a": {"loss": FLAT}}
  assert diagnostics.diagnostics(rows, histories, data.from_arrays(X)) == []
  texts = [{name: str(value) for name, value in rows[0].items()}]
  assert diagnostics.diagnostics(texts, histories, data.from_arrays(X)) == []


def test_trials_that_diverged():
  rows = [row("a"), row("b", status="diverged", test_squared_error=np.nan)]
  assert diagnostics.diverged(rows[:1]) is None
  line = diagnostics.diverged(rows)
  assert "1 of 2 trials diverged" in line
  small, large = data.from_arrays(X), data.from_arrays(X * 1e3)
  standardized = data.from_arrays(X * 1e3, standardize=True)
  histories = {"a": {"loss": FLAT}}
  for dataset, hint in ((small, 0), (large, 1), (standardized, 0)):
    (line,) = diagnostics.diagnostics(rows, histories, dataset)
    assert ("data.standardize=True" in line) == hint


@pytest.mark.parametrize(
  ("rows", "expected"),
  [
    (
      [
        row("a", test_active_units=1),
        row("b", test_active_units=3),
      ],
      "1 of 2 .* a .* 1 o",
    ),
    (
      [
        row("a", test_active_units=2),
        row("b", test_active_units=4),
      ],
      None,
    ),
    ([row("a", kl=0.03)], "1 of 1 .*0 of 4"),
    ([row("a", kl=0.05)], None),
    (
      [row("a", test_active_units="4", kl="1e-9")],
      None,
    ),  # what is measured counts
    ([row("a")], None),  # no Gaussian code
  ],
)
def test_collapsed_units(rows, expected):
  line = diagnostics.collapsed(rows)
  if expected is None:
    assert line is None
  else:
    assert re.search(expected, line)


@pytest.mark.parametrize(
  ("errors", "sizes", "is_far"),
  [
    ([(4, 1.0, 2.0), (4, 3.0, 2.0)], None, False),  # one of them is enough
    ([(4, 2.5, 2.0), (8, 0.5, 1.0)], "4 (2 against 2.5 at 4)", False),
    ([(4, 2.5, 2.0), (8, 4.0, 1.0)], "4, 8 (1 against 4 at 8)", True),
    ([(8, 0.12, 9e-15)], None, False),  # it keeps all components
    ([(8, np.nan, 1.0)], None, False),
  ],
)
def test_pca_ahead_of_every_trial_of_a_size(errors, sizes, is_far):
  rows = [
    row("a", latent_size=k, test_squared_error=e, pca_test_squared_error=p)
    for k, e, p in errors
  ]
  line = diagnostics.behind_pca(rows, ", or scale")
  if sizes is None:
    assert line is None
  else:
    assert f"latent size {sizes}" in line
    assert line.endswith("scale") == is_far


@pytest.mark.parametrize(
  ("loss", "rate"),
  [
    (100 * 0.97 ** np.arange(20), "3.3%"),  # 0.97^-5 - 1 over five epochs
    (100 * 0.995 ** np.arange(20), None),
    (-100 + 100 * 0.5 ** np.arange(20), None),  # below 0, as of densities
    (-1 + 100 * 0.7 ** np.arange(14), None),  # just below 0
    ([4.0, 2.0], "100%"),
    ([4.0], None),
    (np.arange(1, 20), None),
  ],
)
def test_losses_that_still_fall(loss, rate):
  rows, histories = [row("a"), row("b")], {"a": {"loss": FLAT}}
  line = diagnostics.unconverged(rows, histories | {"b": {"loss": loss}})
  if rate is None:
    assert line is None
  else:
    assert "1 of 2 trials had not converged" in line
    assert f"of b fell by {rate}" in line


@pytest.mark.parametrize(
  ("values", "name"),
  [
    ({"test_probe_accuracy": 1.02}, "test_probe_accuracy"),
    ({"validation_silhouette": "-1.5"}, "validation_silhouette"),
    ({"pca_test_knn_accuracy": -0.1}, "pca_test_knn_accuracy"),
    ({"test_probe_accuracy": 1.0 + 1e-7, "test_knn_accuracy": np.nan}, None),
    ({"test_kl_nats": 7.0, "test_code_mean": -3.0}, None),
  ],
)
def test_shares_outside_of_their_range(values, name):
  line = diagnostics.out_of_range([row("a", **values)])
  assert line is None if name is None else line.startswith(f"{name} of a is")


def test_what_is_measured_on_all_in_some_rows_only():
  rows = [
    row("a", metric_groups="reconstruction+noise"),
    row("b", metric_groups="reconstruction+noise"),
  ]
  assert diagnostics.mixed(rows) is None
  rows[1]["metric_groups_in_part"] = "noise"
  assert "noise is measured on a part of the examples in 1 of 2" in (
    diagnostics.mixed(rows)
  )
  rows[0]["metric_groups_in_part"] = "noise"
  assert diagnostics.mixed(rows) is None


def test_a_real_run_says_what_is_true_of_it(capsys, tmp_path):
  """The wine data: unscaled, networks end far behind PCA."""
  x = load_wine().data
  point = {"latent_size": 2, "num_epochs": 150, "widths": (16,)}
  vae = point | {"objective": "vae", "learning_rate": 1e-2}
  points = [point, vae | {"beta": 0.01}, vae | {"beta": 100.0}]
  for standardize, folder in ((False, None), (True, tmp_path / "run")):
    results = ae_jax.run_sweep(
      points,
      x,
      standardize=standardize,
      metrics=["likelihood"],
      folder=folder,
    )
    said = capsys.readouterr().err
    for line in results.warnings:
      assert f"warning: {line}\n" in said
    told = "\n".join(results.warnings)
    assert ("data.standardize=True" in told) != standardize
    assert ("largest deviation of a feature" in said) != standardize
    if standardize:  # a divergence that counts 100 times leaves no unit active
      assert "1 of 2 trials with a Gaussian code use less" in told
      assert f"{results[2].row['id']} (vae) 0 of 2" in told

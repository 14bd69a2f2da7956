"""Settings are compared by mean, deviation and number of seeds."""

import math

import numpy as np
import pytest
from mistakes import check_fails
from scipy import stats

from ae_jax import over_seeds, winners
from ae_jax.metrics import selection

BY = "validation_squared_error"


def rows(errors, size=2, pca=2.0, objective="vae", status="ok", test=0.5):
  """A trial for each seed."""
  return [
    {
      "id": f"{objective}{size}{seed}",
      "status": status,
      "diverged_step": None,
      "objective": objective,
      "latent_size": size,
      "seed": seed,
      "loss": 1.0,
      BY: error,
      "test_squared_error": error + test,
      f"pca_{BY}": pca,
    }
    for seed, error in enumerate(errors)
  ]


def of(errors):
  (summary,) = over_seeds.means(rows(errors), BY, ["latent_size"]).values()
  return summary


def test_one_is_worse_where_welchs_test_says_so():
  rng = np.random.default_rng(0)
  outcomes = set()
  for _ in range(200):
    a, b = (
      rng.normal(rng.normal(), rng.uniform(0.1, 1), rng.integers(2, 6)).tolist()
      for _ in range(2)
    )
    for higher, side in ((False, "greater"), (True, "less")):
      p = stats.ttest_ind(a, b, equal_var=False, alternative=side).pvalue
      assert of(a).is_worse(of(b), 4, higher) == (p < 0.05 / 4)
      outcomes.add(p < 0.05 / 4)
  assert outcomes == {True, False}


def test_equal_settings_are_seldom_called_worse():
  """Of 20 equal ones none, in 95 of 100 runs or more."""
  rng = np.random.default_rng(1)
  wrong = 0
  for _ in range(300):
    table = [
      row | {"seed": seed}
      for k in range(20)
      for seed, row in enumerate(rows(rng.normal(size=3), objective=str(k)))
    ]
    wrong += any(r["worse_than_best"] for r in over_seeds.summary(table))
  # Four standard errors of a share of 0.05 in 300.
  assert wrong / 300 < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 300)


def test_of_single_seeds_none_is_called_worse():
  assert not of([100.0]).is_worse(of([1.0]), 1, False)
  assert not of([100.0]).is_worse(of([1.0, 1.0]), 1, False)
  assert of([2.0, 2.0]).is_worse(of([1.0, 1.0]), 1, False)
  assert not of([1.0, 1.0]).is_worse(of([2.0, 2.0]), 1, False)


def test_the_summary_of_a_table():
  table = (
    rows([1.0, 1.2, 1.1])
    + rows([1.1, 1.3], objective="sparse")
    + rows([3.0, 3.1, 3.0], objective="denoising")
    + rows([0.1], objective="sparse_kl")
    + rows([math.nan], objective="sparse_kl", status="diverged")
  )
  found = over_seeds.summary(table)
  # One whose seeds have not all ended well comes last.
  assert [row["objective"] for row in found] == [
    *("vae", "sparse", "denoising", "sparse_kl")
  ]
  assert "seed" not in found[0]
  assert found[0][f"{BY}_mean"] == pytest.approx(1.1)
  assert found[0][f"{BY}_std"] == pytest.approx(0.1)
  assert [row["num_seeds"] for row in found] == [3, 2, 3, 1]
  assert [row["num_lost"] for row in found] == [0, 0, 0, 1]
  worse = [row["worse_than_best"] for row in found]
  assert worse == [False, False, True, None]
  assert found[3][f"{BY}_std"] is None
  match = f"has a number in '{BY}s'; did you mean {BY}?"
  check_fails(match, over_seeds.summary, table, f"{BY}s")


def test_the_sentence_says_who_is_ahead_and_what_is_noise():
  table = (
    rows([1.0, 1.2])
    + rows([1.1, 1.3], objective="sparse")
    + rows([1.04, 1.06], size=8, pca=0.5)
    + rows([3.04, 3.06], size=8, pca=0.5, objective="sparse")
  )
  assert winners.sentence(table, BY) == (
    "By validation squared error, mean ± deviation over 2 seeds, so few that"
    " only large differences are told from noise: at 2 units vae 1.1 ± 0.1"
    " [test 1.6 ± 0.1] (and 1 more within the noise), PCA 2; at 8"
    " units PCA 0.5, ahead of all networks, of which vae 1.05 ± 0.01 [test 1.55"
    " ± 0.01] is best."
  )
  single = rows([1.0]) + rows([3.0], objective="sparse")
  assert "whose noise is not known: at 2 units vae 1 [test 1.5], PCA 2." in (
    winners.sentence(single, BY)
  )
  assert winners.sentence(rows([1.0], status="diverged"), BY) == ""


def test_accuracies_are_best_where_they_are_largest():
  accuracy = "validation_probe_accuracy"
  table = [
    {"widths": width} | row | {accuracy: value, f"pca_{accuracy}": 0.7}
    for value, width in ((0.9, "(8,)"), (0.6, "(4,)"))
    for row in rows([1.0, 1.0])
  ]
  text = winners.sentence(table, accuracy)
  assert "at 2 units vae (widths=(8,)) 0.9 ± 0, PCA 0.7." in text
  low = [row | {accuracy: 0.5} for row in table]
  assert "PCA 0.7, ahead of all networks" in winners.sentence(low, accuracy)


def test_a_choice_on_the_test_set_says_so():
  table = rows([1.0])
  assert selection.criterion(table) == BY
  assert selection.remark(table, BY) == ""
  said = selection.remark(table, "test_squared_error")
  assert said.startswith("chosen by test_squared_error, on the test set")
  old = [
    {k: v for k, v in row.items() if "validation" not in k} for row in table
  ]
  assert selection.criterion(old) == "test_squared_error"
  assert "no validation set" in selection.remark(old, "test_squared_error")

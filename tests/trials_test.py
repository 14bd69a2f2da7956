"""The benchmark's walk over all objectives; nothing by the clock."""

import numpy as np
import pytest

from ae_jax.objectives import OBJECTIVES
from experiments.benchmarks import problems, trials
from experiments.benchmarks.section import Options

TINY = problems.Problem(
  (64,), {"widths": (4,), "latent_size": 4, "num_epochs": 1}
)


# One of each kind of batch and optimizer beside those of the quick benchmark;
# the rest is slow, for solo_test trains every objective.
FAST = {"conditional_vae", "factor_vae"}


@pytest.mark.parametrize(
  "objective",
  [
    name if name in FAST else pytest.param(name, marks=pytest.mark.slow)
    for name in OBJECTIVES
  ],
)
def test_every_objective_has_a_row(objective):
  options = Options({"tiny": TINY}, (objective,), (1,), 1, 0.0, True)
  (row,) = trials.SECTION.rows(options)
  assert "failed" not in row
  assert (row["objective"], row["trials"]) == (objective, 1)
  assert min(row["trial_steps_per_s"], row["gflop_per_s"]) > 0
  assert row["compile_s"] > 0


def test_the_walk_is_over_all_objectives():
  options = Options({"tiny": TINY}, None, (1, 4), 1, 0.0, True)
  assert trials.SECTION.num_rows(options) == 2 * len(OBJECTIVES)


@pytest.mark.parametrize("name", ["784-32-16", "conv-16-32-16"])
def test_the_labels_of_made_up_images_feed_what_needs_them(name):
  problem = problems.PROBLEMS[name]
  of_pairs = problem.input_pipeline().with_supervision("class").train
  labels = problem.dataset().train_labels
  assert {*labels} == {*range(10)}
  np.testing.assert_array_equal(
    labels[of_pairs.partners], np.broadcast_to(labels[:, None], (12_800, 16))
  )

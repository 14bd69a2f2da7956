"""Ranking by what seeds have in common, against an independent form of it."""

import numpy as np
import scipy.stats

from ae_jax.metrics.udr import (
  unsupervised_disentanglement_ranking as udr,
)

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(400, 3))
KL = np.ones(3)


def test_copies_up_to_order_sign_and_scale_score_one():
  other = (Z * [2.0, -0.5, 3.0])[:, [2, 0, 1]]
  # Ranks of other units correlate by 1 / sqrt(n) or so, which is in the sums.
  scores = udr([Z, other, np.exp(other)], [KL] * 3)
  assert np.all(scores > 0.85)
  factors = np.stack(np.meshgrid(*[np.arange(5)] * 3), -1).reshape(-1, 3)
  np.testing.assert_allclose(udr([factors, -factors[:, ::-1]], [KL] * 2), 1)


def test_a_rotation_scores_less_and_noise_least():
  factors = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), -1).reshape(-1, 3)
  rotation, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
  rotated, _ = udr([factors, factors @ rotation], [KL] * 2)
  noise, _ = udr([factors, RNG.normal(size=factors.shape)], [KL] * 2)
  assert noise < rotated < 0.9


def test_it_is_the_formula_with_scipys_correlation():
  z = [Z, Z @ RNG.normal(size=(3, 4)), RNG.normal(size=(400, 2))]
  kl = [np.array([1.0, 0.0, 0.2]), np.array([0.3, 0.3, 0.0, 1.0]), np.ones(2)]
  scores = np.full((3, 3), np.nan)
  for i in range(3):
    for j in range(3):
      if i == j:
        continue
      a = z[i].shape[1]
      both = scipy.stats.spearmanr(z[i], z[j]).statistic[:a, a:]
      r = np.abs(both)[kl[i] > 0.01][:, kl[j] > 0.01]
      terms = [row.max() ** 2 / row.sum() for row in r]
      terms += [column.max() ** 2 / column.sum() for column in r.T]
      scores[i, j] = np.mean(terms)
  np.testing.assert_allclose(udr(z, kl), np.nanmedian(scores, axis=1))


def test_units_without_information_change_nothing():
  noise = RNG.normal(size=(400, 5))
  with_noise = [np.concatenate([z, noise], axis=1) for z in (Z, -Z)]
  kl = np.concatenate([KL, np.zeros(5)])
  np.testing.assert_allclose(
    udr(with_noise, [kl, kl]), udr([Z, -Z], [KL, KL]), rtol=1e-12
  )


def test_one_model_and_models_without_information():
  assert np.isnan(udr([Z], [KL])).all()
  assert (udr([Z, Z], [0 * KL, 0 * KL]) == 0).all()

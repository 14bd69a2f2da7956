"""Which settings come out alike from every seed: a ranking without factors."""

from collections.abc import Sequence

import numpy as np
import scipy.stats

_INFORMATIVE = 0.01  # nats


def unsupervised_disentanglement_ranking(
  codes: Sequence[np.ndarray], kl: Sequence[np.ndarray]
) -> np.ndarray:
  """UDR: how well the units of models match those of each other.

  With R_ab the absolute rank correlation of unit a of one model and b of the
  other, r_b its largest in column b, I_b = 1 of informative units:
  `UDR_ij = 1/(d_i + d_j) [sum_b I_b r_b^2 / sum_a R_ab + sum_a I_a r_a^2 /
  sum_b R_ab]`, d the number of informative units. It is 1 where each unit has
  one partner, its copy up to sign and scale.

  Args:
    codes: of each model, `[n, latent]`, of the same examples: posterior means.
    kl: of each model, `[latent]`: the divergence of each unit in nats; those
      above 0.01 are informative.

  Returns:
    `[models]`: the median over the other models; NaN of a single one.

  References:
    Duan et al., "Unsupervised Model Selection for Variational Disentangled
    Representation Learning", 2020, eq. 3, with Spearman's correlation.
  """
  ranks = [_standardised_ranks(z) for z in codes]
  informative = [values > _INFORMATIVE for values in kl]
  scores = np.full((len(codes), len(codes)), np.nan)
  for i in range(len(codes)):
    for j in range(i):
      similarity = np.abs(ranks[i].T @ ranks[j]) / len(ranks[i])
      total = _matched(similarity, informative[j])
      total += _matched(similarity.T, informative[i])
      count = informative[i].sum() + informative[j].sum()
      scores[i, j] = scores[j, i] = total / count if count else 0.0
  if len(codes) == 1:
    return scores[0]
  return np.nanmedian(scores, axis=1)


def _matched(similarity: np.ndarray, informative: np.ndarray) -> float:
  """`sum_b I_b r_b^2 / sum_a R_ab`."""
  total = similarity.sum(axis=0)
  share = similarity.max(axis=0) ** 2 / np.where(total > 0, total, 1)
  return float(share[informative].sum())


def _standardised_ranks(z: np.ndarray) -> np.ndarray:
  ranks = scipy.stats.rankdata(z, axis=0)
  ranks -= ranks.mean(axis=0)
  deviation = ranks.std(axis=0)
  return ranks / np.where(deviation > 0, deviation, 1)

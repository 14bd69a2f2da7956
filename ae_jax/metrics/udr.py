"""Which settings come out alike from every seed: a ranking without factors."""

from collections.abc import Sequence

import numpy as np
import scipy.stats

_INFORMATIVE = 0.01  # nats


def unsupervised_disentanglement_ranking(
  codes: Sequence[np.ndarray], kl: Sequence[np.ndarray]
) -> np.ndarray:
  """UDR: how well the units of models match those of each other.

  With R_ab the absolute rank correlation of an informative unit a of one model
  and b of the other, r_b its largest in column b, and d the number of such
  units: `UDR_ij = 1/(d_i + d_j) [sum_b r_b^2 / sum_a R_ab + sum_a r_a^2 /
  sum_b R_ab]`. It is 1 where each unit has one partner, its copy up to sign and
  scale; correlations by chance, about 0.8 / sqrt(n) each, lower it. The paper's
  code averages the two means, 1/(2 d_j) and 1/(2 d_i): another number where
  models have unequally many such units.

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
  ranks = [_standardized_ranks(z) for z in codes]
  informative = [values > _INFORMATIVE for values in kl]
  scores = np.full((len(codes), len(codes)), np.nan)
  for i in range(len(codes)):
    for j in range(i):
      one, other = ranks[i][:, informative[i]], ranks[j][:, informative[j]]
      similarity = np.abs(one.T @ other) / len(one)
      if similarity.size:
        total = _matched(similarity) + _matched(similarity.T)
        scores[i, j] = scores[j, i] = total / sum(similarity.shape)
      else:
        scores[i, j] = scores[j, i] = 0.0
  if len(codes) == 1:
    return scores[0]
  return np.nanmedian(scores, axis=1)


def _matched(similarity: np.ndarray) -> float:
  """`sum_b r_b^2 / sum_a R_ab`."""
  total = similarity.sum(axis=0)
  return float(
    (similarity.max(axis=0) ** 2 / np.where(total > 0, total, 1)).sum()
  )


def _standardized_ranks(z: np.ndarray) -> np.ndarray:
  ranks = scipy.stats.rankdata(z, axis=0)
  ranks -= ranks.mean(axis=0)
  deviation = ranks.std(axis=0)
  return ranks / np.where(deviation > 0, deviation, 1)

"""How well entries that are hidden are imputed from the others.

Of data whose entries may be missing (`Dataset.missing`): of the entries of
held-out examples that are there, some are hidden from the model as well, each
by the same chance (missing completely at random: Little and Rubin, "Statistical
Analysis with Missing Data", 2002, section 1.3), and compared with the
reconstruction.
"""

import jax
import jax.numpy as jnp

from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.columns import HIDDEN
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.metrics.reconstruction import reconstruct
from ae_jax.networks import Spec, given
from ae_jax.types import Array, Autoencoder, Params


def measure(
  spec: Spec, params: Params, latent_sizes: Array, data: EvalData
) -> tuple[Columns, Units]:
  """The metric group "imputation", of data whose entries may be missing."""
  if not data.missing:
    return {}, {}
  return _of_models(spec, params, latent_sizes, data), {}


@over_trials
def _of_models(model: Autoencoder, params: Params, data: EvalData) -> Columns:
  columns: Columns = {}
  for share in HIDDEN:
    hidden = hidden_entries(data.held_out, share)
    seen = jnp.where(hidden, jnp.nan, data.held_out)
    again = map_batches(
      lambda block: reconstruct(given(model, block[1]), params, block[0]),
      (seen, data.held_out_label),
    )
    columns |= errors(data, share, hidden, again)
  return columns


def hidden_entries(x: Array, share: float) -> Array:
  """Which observed entries of `[n, *features]` are hidden.

  The same in every run and for every model; those of a larger share are some
  more.
  """
  draws = jax.random.uniform(jax.random.key(0), x.shape)
  return (draws < share) & ~jnp.isnan(x)


def errors(
  data: EvalData, share: float, hidden: Array, again: Array
) -> Columns:
  """The columns of a share: `(x - x~)^2`, mean over the hidden entries.

  Args:
    data: has the entries.
    share: that is hidden.
    hidden: see `hidden_entries`.
    again: x~, made without them, `[m, *features]`.
  """
  squares = jnp.where(hidden, (data.held_out - again) ** 2, 0.0)
  return {
    f"{part}_imputation_error_{share}": jnp.sum(squares[rows])
    / jnp.sum(hidden[rows])
    for part, rows in data.parts.items()
  }

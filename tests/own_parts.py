"""What a user brings: one function for each door, in a file of their own."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

import ae_jax

# --- an objective with state, a hook, a selection and parameters of its own


def zeros(model, params, key, **_):
  del params, key
  size = len(model.latent_mask)
  return {"threshold": jnp.zeros(size), "steps": jnp.zeros((), jnp.int32)}


def scales(model, params, key, **_):
  del params, key
  return {"scale": jnp.ones(len(model.latent_mask))}


def above_threshold(params, z, latent_mask):
  """Units above a threshold remain, the others are 0."""
  kept = z > params["state"]["threshold"][None]
  return (
    jnp.where(kept, z * params["objective"]["scale"][None], 0)
    * (latent_mask[None])
  )


def of_unit_norm(model, params, key, batch, **_):
  """The decoder's rows, each at most of norm 1; of padding 0."""
  del model, key, batch
  latent = params["decoder"]["latent"]
  norm = jnp.linalg.norm(latent["kernel"], axis=1, keepdims=True)
  kernel = latent["kernel"] / jnp.maximum(norm, 1.0)
  decoder = params["decoder"] | {"latent": latent | {"kernel": kernel}}
  return params | {"decoder": decoder}


def latent_is_small(settings):
  if settings["latent_size"] > 1000:
    raise ae_jax.UsageError("at most 1,000 units here")


@ae_jax.objective(
  code="linear",
  params=scales,
  state=zeros,
  select=above_threshold,
  after_update=of_unit_norm,
  check=latent_is_small,
  ranges={"wanted": (0.0, 1.0), "rate": (0.0, 1.0)},
)
def threshold(model, params, key, batch, *, wanted=0.5, rate=0.1):
  """A code whose thresholds rise until the wanted share is active."""
  del key
  z = model.dense_code(params, batch)
  code = above_threshold(params, z, model.latent_mask)
  nll = jnp.mean(model.nll(batch, model.decode(params, code)))
  active = jnp.mean(code != 0, axis=0)
  state = params["state"]
  moved = state["threshold"] + rate * (active - wanted) * model.latent_mask
  share = jnp.sum(active) / jnp.sum(model.latent_mask)
  following = {
    "threshold": jax.lax.stop_gradient(moved),
    "steps": state["steps"] + 1,
  }
  return nll, {"active": share}, following


# --- objectives that are a prior, and what an encoder sees


def standard(model, params):
  del params
  mean = jnp.zeros((1, len(model.latent_mask)))
  return ae_jax.Gaussian(mean + 1.0, mean)


@ae_jax.objective(prior=standard)
def wae(model, params, key, batch, *, weight=1.0):
  """A Wasserstein autoencoder in two moments, towards N(1, I)."""
  del key
  z = model.encode(params, batch)
  nll = jnp.mean(model.nll(batch, model.decode(params, z)))
  mean, second = jnp.mean(z, axis=0), jnp.mean((z - 1) ** 2, axis=0)
  penalty = jnp.sum(
    model.latent_mask * ((mean - 1.0) ** 2 + (second - 1.0) ** 2)
  )
  return nll + weight * penalty, {"penalty": penalty}


def from_inputs(model, params):
  return model.encode(params, params["objective"]["inputs"])


def inputs(model, params, key, *, num_inputs, **_):
  z = jax.random.normal(key, (len(model.latent_mask), num_inputs)).T
  return {"inputs": model.mean(model.decode(params, z))}


@ae_jax.objective(code="gaussian", params=inputs, prior=from_inputs)
def own_vamp(model, params, key, batch, *, num_inputs=3):
  """`vamp_vae`, of a user."""
  from ae_jax.divergences import log_ratio_to_mixture
  from ae_jax.objectives.vae import reparameterize

  del num_inputs
  q = model.encode(params, batch)
  z = reparameterize(key, q)
  nll = jnp.mean(model.nll(batch, model.decode(params, z)))
  kl = jnp.mean(log_ratio_to_mixture(z, q, from_inputs(model, params)))
  return nll + kl, {"kl": kl}


@ae_jax.likelihood(mean=jnp.exp, support=(0.0, math.inf))
def poisson(x, decoded):
  """`-log Poisson(x; e^decoded)`."""
  nll = jnp.exp(decoded) - x * decoded + jax.scipy.special.gammaln(x + 1)
  return jnp.sum(nll, axis=tuple(range(1, x.ndim)))


@ae_jax.objective(encoder_input=jnp.log1p, likelihood=poisson, code="gaussian")
def count_vae(model, params, key, batch, *, beta=1.0):
  """A VAE of counts."""
  return ae_jax.OBJECTIVES["vae"](model, params, key, batch, beta=beta)


# --- an optimizer


@ae_jax.optimizer(ranges={"shrink": (0.0, 1.0)})
def shrinking(learning_rate, *, shrink=0.9, sign=False):
  """Momentum, or its sign."""
  direction = optax.trace(decay=shrink)
  last = optax.scale_by_learning_rate(learning_rate)
  signed = optax.scale_by_sign() if sign else optax.identity()
  return optax.chain(direction, signed, last)


# --- a network


class Gated(nn.Module):
  """`tanh(W x) * sigmoid(slope V x)`."""

  units: int
  slope: float

  @nn.compact
  def __call__(self, x):
    x = x.reshape(x.shape[0], -1)
    gate = nn.Dense(self.units, name="gate")(x)
    return jnp.tanh(nn.Dense(self.units, name="value")(x)) * nn.sigmoid(
      self.slope * gate
    )


class Output(nn.Module):
  """A gated layer and a dense one."""

  spec: ae_jax.Spec
  slope: float

  @nn.compact
  def __call__(self, h):
    h = Gated(self.spec.widths[0], self.slope, name="gated")(h)
    return nn.Dense(self.spec.num_outputs, name="last")(h)


@ae_jax.network(ranges={"slope": (0.0, 10.0)})
def gated(spec, *, slope=1.0, units=8):
  """A gated MLP."""
  return ae_jax.Network(Gated(units, slope), Output(spec, slope), units)


class Scaled:
  """No Flax: two pure functions."""

  def __init__(self, size):
    self.size = size

  def init(self, key, x):
    shape = (math.prod(x.shape[1:]), self.size)
    return {"params": {"w": 0.1 * jax.random.normal(key, shape)}}

  def apply(self, variables, x, rngs=None):
    del rngs
    return jnp.tanh(x.reshape(x.shape[0], -1) @ variables["params"]["w"])


@ae_jax.network()
def pure(spec):
  """A network without Flax."""
  return ae_jax.Network(Scaled(8), Scaled(spec.num_outputs), 8)


# --- a likelihood


def location(decoded, *, scale):
  del scale
  return decoded


@ae_jax.likelihood(mean=location, ranges={"scale": (1e-3, 100.0)})
def laplace(x, decoded, *, scale=1.0):
  """`-log Laplace(x; decoded, scale)`, normalized."""
  nll = jnp.abs(x - decoded) / scale + jnp.log(2 * scale)
  return jnp.sum(nll, axis=tuple(range(1, x.ndim)))


# --- a metric


@ae_jax.metric(
  code_range=("code", "higher", "largest minus smallest activation"),
  code_norm=("code", "", "mean norm of the test codes"),
)
def spread(model, params, data):
  """How far the codes reach."""
  x = ae_jax.data.to_float(data.test)
  z = model.encode(params, x)
  z = z.mean if isinstance(z, ae_jax.Gaussian) else z
  norm = jnp.mean(jnp.linalg.norm(z, axis=1))
  return {"code_range": jnp.max(z) - jnp.min(z), "code_norm": norm}


# --- a dataset


@ae_jax.dataset()
def blobs():
  """Two clouds in five dimensions, and which one each example is of."""
  rng = np.random.default_rng(0)
  labels = np.arange(120) % 2
  x = rng.normal(size=(120, 5)) + 4 * labels[:, None]
  return {"x": x.astype(np.float32), "labels": labels}

"""Every objective of the table: limits, gradients and closed forms."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from jax.test_util import check_grads

from ae_jax import corruptions
from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.networks import CODES, Spec, autoencoder
from ae_jax.objectives import OBJECTIVES, RANGES
from ae_jax.objectives.vae import reparameterize
from ae_jax.settings import hyper_parameters
from ae_jax.training import init_params, trainer
from ae_jax.types import Gaussian, Labeled, UsageError

X = np.random.default_rng(0).uniform(size=(6, 5)).astype(np.float32)
KEY = jax.random.key(1)
Z_KEY = jax.random.split(KEY)[0]  # of z, in objectives that draw more than z


def network(name, latent_size=3, **fields):
  code = getattr(OBJECTIVES[name], "code", "linear")
  fields = {"widths": (4,), "activation": "tanh", "code": code} | fields
  model = autoencoder(Spec((5,), 4, **fields), latent_size)
  return model, params_of(name, model)


def batch_of(name, x=X):
  """x, or what it takes: labels, or each example beside the next."""
  if hasattr(OBJECTIVES[name], "labels"):
    return Labeled(x, jnp.arange(len(x)) % 3)
  if hasattr(OBJECTIVES[name], "pairs"):
    return jnp.stack([x, jnp.roll(x, 1, axis=0)], axis=1)
  return x


def params_of(name, model):
  hyper = hyper_parameters(OBJECTIVES[name])
  return init_params(OBJECTIVES[name], model, jax.random.key(0), hyper)


def floats(name):
  hyper = hyper_parameters(OBJECTIVES[name])
  return {k: v for k, v in hyper.items() if isinstance(v, float)}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_and_terms_are_finite_scalars(name):
  model, params = network(name)
  loss, terms = jax.jit(
    lambda p: OBJECTIVES[name](model, p, KEY, batch_of(name), **floats(name))
  )(params)
  assert loss.shape == ()
  assert "reconstruction" in terms
  assert all(np.isfinite(v) and v.shape == () for v in (loss, *terms.values()))


STATIC = {
  "corruption": ["gaussian", "masking", "salt_and_pepper"],
  "estimator": ["exact", "hutchinson", "subset"],
  "num_samples": [1, 2, 3],
  "kind": ["I", "II"],
  "doubly_reparameterized": [False],  # it is no gradient of a function
  "selection": ["example", "batch"],
  "regularizer": ["l2", "gradient"],
  "num_codes": [64],
  "code_dim": [1],
  "discriminator_width": [128],
  "num_pseudo_inputs": [64],
  "num_classes": [10],
  "pairs": ["one_factor"],  # says how pairs are drawn
}
# Their gradients are meant to be others than the loss's.
STOPPED = {"vq_vae", "factor_vae"}


def random_hyper(name, rng):
  """Floats from a hundredth of their default to a hundred times it."""
  hyper = hyper_parameters(OBJECTIVES[name])
  for key, default in hyper.items():
    if key == "kind" and name == "layerwise":
      hyper[key] = "plain"
    elif key in STATIC:
      hyper[key] = STATIC[key][rng.integers(len(STATIC[key]))]
    else:
      hyper[key] = np.clip(default * 10 ** rng.uniform(-2, 2), *RANGES[key])
  if name == "denoising":  # a probability
    hyper["noise"] = min(hyper["noise"], 1.0)
  return hyper


SOME_SEEDS = (
  0,
  *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 9)),
)


@pytest.mark.parametrize("seed", SOME_SEEDS)
@pytest.mark.parametrize("name", sorted({*OBJECTIVES} - STOPPED))
def test_gradients_match_finite_differences(name, seed):
  rng = np.random.default_rng(seed)
  model, params = network(
    name,
    likelihood=[*LIKELIHOODS][seed % len(LIKELIHOODS)],
    widths=[(5,) if name == "conditional_vae" else (), (4,), (6, 4)][
      rng.integers(3)
    ],
    activation=["tanh", "sigmoid", "silu"][rng.integers(3)],
  )
  hyper = random_hyper(name, rng)
  with jax.enable_x64(True):  # in float32 the differences would be noise
    double = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), params)
    x = batch_of(name, jnp.asarray(X, jnp.float64))

    @jax.jit
    def loss(p):
      return OBJECTIVES[name](model, p, KEY, x, **hyper)[0]

    # Second-order error of the differences, about eps^2 = 1e-8.
    check_grads(loss, (double,), order=1, modes=["rev"], rtol=1e-5, atol=1e-6)


# Every objective at one output and width; the rest is slow.
FAST = {*zip(OBJECTIVES, itertools.cycle(LIKELIHOODS), itertools.repeat(785))}


@pytest.mark.parametrize(
  ("name", "likelihood", "width"),
  [
    pytest.param(*case, marks=[] if case in FAST else pytest.mark.slow)
    for case in itertools.product(
      OBJECTIVES, LIKELIHOODS, (1, 2, 7, 64, 785, 4096)
    )
  ],
)
def test_losses_are_finite_at_logits_of_a_thousand(name, likelihood, width):
  code = getattr(OBJECTIVES[name], "code", "linear")
  spec = Spec((width,), 3, widths=(5,), code=code, likelihood=likelihood)
  model = autoencoder(spec)

  def decode(params, z):
    y = model.decode(params, z)
    return 1e3 * y / jnp.maximum(jnp.max(jnp.abs(y)), 1e-3)

  @jax.jit
  def value_and_grad(params, x):
    return jax.value_and_grad(OBJECTIVES[name], argnums=1, has_aux=True)(
      model._replace(decode=decode), params, KEY, x, **floats(name)
    )

  x = np.random.default_rng(0).uniform(size=(4, width)).astype(np.float32)
  x[1], x[2] = 0, 1
  params = params_of(name, model)
  for leaf in jax.tree.leaves(value_and_grad(params, batch_of(name, x))):
    assert np.isfinite(leaf).all()


@pytest.mark.parametrize(
  ("name", "off"),
  [
    ("sparse", {"strength": 0.0}),
    ("sparse_kl", {"strength": 0.0}),
    ("sparse_student_t", {"strength": 0.0}),
    ("contractive", {"strength": 0.0}),
    ("rae", {"code_weight": 0.0, "decoder_weight": 0.0}),
    ("layerwise", {"stage": 1.0}),
    ("k_sparse", {"k": 3.0}),
    ("k_sparse", {"k": 3.0, "selection": "batch"}),
    ("denoising", {"noise": 0.0, "corruption": "gaussian"}),
    ("denoising", {"noise": 0.0, "corruption": "masking"}),
    ("denoising", {"noise": 0.0, "corruption": "salt_and_pepper"}),
  ],
)
def test_switched_off_it_is_the_plain_autoencoder(name, off):
  model, params = network(name)

  def value_and_grad(objective, **hyper):
    return jax.jit(
      jax.value_and_grad(lambda p: objective(model, p, KEY, X, **hyper)[0])
    )(params)

  plain = value_and_grad(OBJECTIVES["autoencoder"])
  mine = value_and_grad(OBJECTIVES[name], **off)
  # The same operations in another order of fusion: a few float32 ulps.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7),
    plain,
    mine,
  )


def test_vae_without_noise_and_divergence_is_the_plain_autoencoder():
  model, params = network("vae")
  head = params["encoder"]["log_variance"]
  params["encoder"]["log_variance"] = {
    "kernel": 0 * head["kernel"],
    "bias": head["bias"] - 100.0,  # sigma = e^-50: no noise in float32
  }
  plain = model._replace(encode=lambda p, x: model.encode(p, x).mean)
  loss, _ = OBJECTIVES["vae"](model, params, KEY, X, beta=0.0)
  expected, _ = OBJECTIVES["autoencoder"](plain, params, KEY, X)
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_vae_reconstruction_is_the_expectation_over_q():
  # A linear decoder: E|x - Wz - b|^2 = |x - Wm - b|^2 + sum_j s_j^2 |W_j|^2.
  model, params = network("vae", latent_size=4, widths=())
  q = model.encode(params, X)
  kernel = params["decoder"]["latent"]["kernel"]
  at_mean = 0.5 * np.sum((X - model.decode(params, q.mean)) ** 2, axis=1)
  spread = 0.5 * np.exp(q.log_variance) @ np.sum(kernel**2, axis=1)
  keys = jax.random.split(KEY, 20_000)
  draws = jax.jit(
    jax.vmap(
      lambda k: OBJECTIVES["vae"](model, params, k, X)[1]["reconstruction"]
    )
  )(keys)
  error = np.std(draws) / np.sqrt(len(draws))
  assert abs(np.mean(draws) - np.mean(at_mean + spread)) < 4 * error


def test_vae_loss_is_reconstruction_plus_beta_times_kl():
  model, params = network("vae")
  loss, terms = OBJECTIVES["vae"](model, params, KEY, X, beta=3.0)
  np.testing.assert_allclose(
    loss, terms["reconstruction"] + 3.0 * terms["kl"], rtol=1e-6
  )


@pytest.mark.parametrize(
  "name", ["sparse", "sparse_kl", "sparse_student_t", "contractive"]
)
def test_penalty_is_reported_unweighted(name):
  model, params = network(name)
  small, terms = OBJECTIVES[name](model, params, KEY, X, strength=0.5)
  large, same = OBJECTIVES[name](model, params, KEY, X, strength=2.0)
  assert terms == same
  np.testing.assert_allclose(large - small, 1.5 * terms["penalty"], rtol=1e-5)


@pytest.mark.parametrize(
  ("name", "off"),
  [
    ("dip_vae", {"off_diagonal": 0.0, "diagonal": 0.0}),
    ("info_vae", {"alpha": 0.0, "strength": 1.0}),
    ("capacity_vae", {"strength": 1.0, "capacity": 0.0}),
  ],
)
def test_a_vae_without_its_penalty_is_the_vae(name, off):
  model, params = network(name)
  z_key = Z_KEY if name == "info_vae" else KEY
  expected, _ = OBJECTIVES["vae"](model, params, z_key, X)
  loss, _ = OBJECTIVES[name](model, params, KEY, X, **off)
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_a_vamp_vae_is_the_vae_of_its_mixture():
  model, params = network("vamp_vae")
  pseudo = params["objective"]["pseudo_inputs"]
  assert pseudo.shape == (64, 5)
  own = params | {"objective": {"pseudo_inputs": pseudo[:2]}}
  loss, terms = OBJECTIVES["vamp_vae"](model, own, KEY, X, beta=2.0)
  q, prior = model.encode(params, X), model.encode(params, pseudo[:2])
  z = np.asarray(reparameterize(KEY, q))[:, :3]

  def density(q):
    scale = np.exp(0.5 * np.asarray(q.log_variance)[:, :3])
    return scipy.stats.norm(np.asarray(q.mean)[:, :3], scale)

  log_q = density(q).logpdf(z).sum(axis=1)
  p = density(prior).pdf(z[:, None]).prod(axis=2).mean(axis=1)
  np.testing.assert_allclose(terms["kl"], np.mean(log_q - np.log(p)), rtol=1e-5)
  expected = terms["reconstruction"] + 2 * terms["kl"]
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_a_conditional_vae_without_labels_is_the_vae():
  model, params = network("conditional_vae")
  batch = batch_of("conditional_vae")
  expected, _ = OBJECTIVES["vae"](model, params, Z_KEY, X)

  def loss(params, **hyper):
    return OBJECTIVES["conditional_vae"](model, params, KEY, batch, **hyper)[0]

  # The biases of the classes begin at 0.
  np.testing.assert_allclose(loss(params, labeled=1.0), expected, rtol=1e-6)
  other = params | {
    "objective": jax.tree.map(lambda b: b + 1.0, params["objective"])
  }
  np.testing.assert_allclose(loss(other, labeled=0.0), expected, rtol=1e-6)
  told = loss(other, labeled=1.0)
  some = loss(other, labeled=0.5)
  assert abs(told - expected) > 0.01
  assert min(told, expected) < some < max(told, expected)


def test_a_class_is_an_input_beside_the_others():
  """Against networks that read a one-hot class beside x and beside z."""
  model, params = network("conditional_vae", likelihood="bernoulli")
  rng = np.random.default_rng(0)
  own = {
    name: rng.normal(size=bias.shape).astype(np.float32)
    for name, bias in params["objective"].items()
  }
  params = jax.tree.map(np.asarray, params | {"objective": own})
  batch = batch_of("conditional_vae")
  loss, terms = OBJECTIVES["conditional_vae"](
    model, params, KEY, batch, labeled=1.0
  )
  onehot = np.eye(10)[batch.label]

  def layer(part, name, h, *, beside=None):
    p = params[part][name]
    kernel = (
      np.concatenate([p["kernel"], beside])
      if beside is not None
      else p["kernel"]
    )
    return h @ kernel + p["bias"]

  h = np.tanh(
    layer(
      "encoder",
      "hidden_0",
      np.concatenate([X, onehot], axis=1),
      beside=own["encoder_bias"],
    )
  )
  mask = np.array([1, 1, 1, 0])
  q = Gaussian(
    jnp.asarray(layer("encoder", "mean", h) * mask, jnp.float32),
    jnp.asarray(layer("encoder", "log_variance", h) * mask, jnp.float32),
  )
  z = np.asarray(reparameterize(Z_KEY, q)) * mask
  h = np.tanh(
    layer(
      "decoder",
      "latent",
      np.concatenate([z, onehot], axis=1),
      beside=own["decoder_bias"],
    )
  )
  logits = layer("decoder", "hidden_0", h)
  entropy = np.logaddexp(0, logits) - X * logits
  np.testing.assert_allclose(
    terms["reconstruction"], entropy.sum(axis=1).mean(), rtol=1e-5
  )
  np.testing.assert_allclose(loss, terms["reconstruction"] + terms["kl"])


def test_twins_share_nothing_so_that_their_ada_gvae_is_the_vae():
  model, params = network("ada_gvae")
  loss, terms = OBJECTIVES["ada_gvae"](
    model, params, KEY, jnp.stack([X, X], axis=1), beta=2.0
  )
  expected, _ = OBJECTIVES["vae"](
    model, params, KEY, jnp.concatenate([X, X]), beta=2.0
  )
  np.testing.assert_allclose(loss, expected, rtol=1e-6)
  assert terms["shared"] == 0


@pytest.mark.parametrize("content", [0.0, 1.0])
def test_a_gvae_without_one_of_its_parts(content):
  model, params = network("gvae")
  x = batch_of("gvae")
  loss, terms = OBJECTIVES["gvae"](model, params, KEY, x, content=content)
  if content == 0:  # two VAEs
    both = jnp.concatenate([x[:, 0], x[:, 1]])
    expected, _ = OBJECTIVES["vae"](model, params, KEY, both)
    assert terms["content_kl"] == 0
  else:  # one code for both
    q = [model.encode(params, x[:, i]) for i in (0, 1)]
    mean = (q[0].mean + q[1].mean) / 2
    variance = (np.exp(q[0].log_variance) + np.exp(q[1].log_variance)) / 2
    zeros = jnp.zeros((12, 4), jnp.float32)
    noise = reparameterize(KEY, Gaussian(zeros, zeros))[:6]
    decoded = model.decode(params, mean + np.sqrt(variance) * noise)
    kl = 0.5 * (mean**2 + variance - 1 - np.log(variance)).sum(axis=1)
    d = [model.nll(x[:, i], decoded) for i in (0, 1)]
    expected = np.mean(d[0] + d[1] + kl) / 2
    assert terms["style_kl"] == 0
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_ada_gvae_averages_the_units_that_are_nearer_than_the_middle():
  mask = np.array([1, 1, 1, 0])
  mean = np.array([[0.0, 0.1, 3.0, 0.0], [1.0, 0.2, 0.5, 0.0]])
  log_variance = np.array([[0.0, -1.0, 0.3, 0.0], [0.2, -1.1, 0.0, 0.0]])
  seen = []

  class Model(NamedTuple):
    latent_mask = mask

    def encode(self, params, x):
      return Gaussian(jnp.asarray(mean), jnp.asarray(log_variance))

    def decode(self, params, z):
      return z

    def nll(self, x, y):
      seen.append(y)
      return jnp.zeros(2)

  loss, terms = OBJECTIVES["ada_gvae"](Model(), {}, KEY, jnp.zeros((1, 2, 1)))
  # KL(N(0, 1) || N(1, e^0.2)) = 0.42, 0.02, and 3.3: the middle is 1.7.
  variance = np.exp(log_variance)
  for j in (0, 1):
    mean[:, j], variance[:, j] = mean[:, j].mean(), variance[:, j].mean()
  kl = 0.5 * (mean**2 + variance - 1 - np.log(variance)).sum(axis=1).mean()
  np.testing.assert_allclose(loss, kl, rtol=1e-6)
  np.testing.assert_allclose(terms["shared"], 2 / 3, rtol=1e-6)
  drawn = reparameterize(KEY, Gaussian(jnp.asarray(mean), np.log(variance)))
  np.testing.assert_allclose(seen[0], drawn, rtol=1e-6)


def test_a_factor_vae_of_no_weight_is_the_vae_beside_its_discriminator():
  model, params = network("factor_vae")
  loss = OBJECTIVES["factor_vae"]
  own, gradient = jax.value_and_grad(
    lambda p: loss(model, p, KEY, X, gamma=0.0)[0]
  )(params)
  expected, plain = jax.value_and_grad(
    lambda p: OBJECTIVES["vae"](model, p, Z_KEY, X)[0]
  )(params)
  _, terms = loss(model, params, KEY, X, gamma=0.0)
  np.testing.assert_allclose(
    own, expected + terms["discriminator_loss"], rtol=1e-6
  )
  for part in ("encoder", "decoder"):  # the discriminator's loss stops there
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
      gradient[part],
      plain[part],
    )


def test_the_weight_of_factor_vae_does_not_reach_the_discriminator():
  model, params = network("factor_vae")

  def gradient(gamma):
    return jax.grad(
      lambda p: OBJECTIVES["factor_vae"](model, p, KEY, X, gamma=gamma)[0]
    )(params)

  none, much = gradient(0.0), gradient(100.0)
  jax.tree.map(
    np.testing.assert_array_equal, none["objective"], much["objective"]
  )
  assert np.any(
    none["encoder"]["mean"]["bias"] != much["encoder"]["mean"]["bias"]
  )


def test_a_trained_discriminator_knows_the_total_correlation():
  # Codes that are all noise but for a shared part: TC of a 2-d Gaussian with
  # correlation r is -log(1 - r^2) / 2.
  rng = np.random.default_rng(0)
  r = 0.9
  noise = rng.normal(size=(1000, 2)).astype(np.float32)
  x = noise @ np.linalg.cholesky([[1, r], [r, 1]]).T.astype(np.float32)
  small = jnp.full((1000, 2), -20.0)  # q(z|x) is a point
  model = autoencoder(Spec((2,), 2, widths=(), code="gaussian"))
  model = model._replace(encode=lambda p, x: Gaussian(x, small))
  params = params_of("factor_vae", model)
  adam = optax.adam(3e-3)

  @jax.jit
  def train(own, key):
    def step(carry, key):
      own, state = carry

      def loss(own):
        _, terms = OBJECTIVES["factor_vae"](
          model, params | {"objective": own}, key, x
        )
        return terms["discriminator_loss"], terms["total_correlation"]

      gradient, found = jax.grad(loss, has_aux=True)(own)
      updates, state = adam.update(gradient, state)
      return (optax.apply_updates(own, updates), state), found

    carry = own, adam.init(own)
    return jax.lax.scan(step, carry, jax.random.split(key, 800))[1]

  found = np.mean(train(params["objective"], KEY)[-100:])
  exact = -0.5 * np.log(1 - r**2)
  assert abs(found - exact) < 0.15 * exact  # a net of 128 units, 1,000 codes


def test_a_quantized_loss_has_the_gradients_of_the_paper():
  model, params = network("vq_vae", latent_size=4)
  own = {"codebook": np.float32([[-0.5], [0.1], [0.6]])}
  params = params | {"objective": own}

  def loss(params, commitment):
    return OBJECTIVES["vq_vae"](
      model, params, KEY, X, commitment=commitment, num_codes=3
    )[0]

  gradient = jax.grad(loss)(params, 0.0)
  z = np.asarray(model.dense_code(params, X))
  e = np.asarray(model.encode(params, X))
  index = np.abs(z[..., None] - own["codebook"][:, 0]).argmin(-1)
  # Each vector goes to the mean of the codes that it stands for.
  expected = [2 * np.sum((e - z)[index == c]) / len(X) for c in range(3)]
  np.testing.assert_allclose(
    gradient["objective"]["codebook"][:, 0], expected, rtol=1e-4, atol=1e-6
  )
  at_codes = jax.grad(
    lambda z: jnp.mean(model.nll(X, model.decode(params, z)))
  )(e)
  through = jax.vjp(lambda p: model.dense_code(p, X), params)[1](at_codes)[0]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
    gradient["encoder"],
    through["encoder"],
  )
  assert np.any(
    jax.grad(loss)(params, 1.0)["encoder"]["code"]["bias"]
    != gradient["encoder"]["code"]["bias"]
  )


@pytest.mark.parametrize("stage", range(3))
@pytest.mark.parametrize(
  "kind", ["plain", "denoising", "sparse", "contractive"]
)
def test_a_stage_trains_one_layer_on_the_clean_codes_below(stage, kind):
  model, params = network(
    "layerwise", widths=(6, 4), likelihood="sigmoid_gaussian"
  )

  def loss(params, strength=0.3):
    return OBJECTIVES["layerwise"](
      model,
      params,
      KEY,
      X,
      stage=(stage + 0.5) / 3,
      kind=kind,
      strength=strength,
    )

  (_, terms), gradient = jax.value_and_grad(loss, has_aux=True)(params)
  trained = {
    (part, name)
    for part, layers in gradient.items()
    for name, layer in layers.items()
    if np.any(layer["kernel"])
  }
  down, up = (
    ["hidden_0", "hidden_1", "code"],
    ["hidden_1", "hidden_0", "latent"],
  )
  assert trained == {("encoder", down[stage]), ("decoder", up[stage])}

  def dense(part, name, h):
    layer = jax.tree.map(np.asarray, params[part][name])
    return np.asarray(h) @ layer["kernel"] + layer["bias"]

  h = X
  for name in down[:stage]:
    h = np.tanh(dense("encoder", name, h))
  if kind == "plain":
    code = dense("encoder", down[stage], h)
    code = code * np.asarray(model.latent_mask) if stage == 2 else np.tanh(code)
    decoded = dense("decoder", up[stage], code)
    decoded = np.tanh(decoded) if stage else jax.nn.sigmoid(decoded)
    expected = 0.5 * np.mean(np.sum((h - decoded) ** 2, axis=1))
    np.testing.assert_allclose(loss(params)[0], expected, rtol=1e-5)
    assert loss(params, 3.0)[0] == loss(params)[0]
  else:
    assert loss(params, 3.0)[0] != loss(params)[0]
  if kind in ("sparse", "contractive"):
    without, _ = loss(params, 0.0)
    np.testing.assert_allclose(
      without, terms["layer_reconstruction"], rtol=1e-6
    )


def test_rae_penalizes_the_jacobian_of_the_decoder():
  model, params = network("rae", latent_size=4)
  z = model.encode(params, X)
  jacobians = jax.vmap(jax.jacfwd(lambda z: model.decode(params, z)))(z)
  _, terms = OBJECTIVES["rae"](model, params, KEY, X, regularizer="gradient")
  np.testing.assert_allclose(
    terms["decoder_penalty"], np.mean(np.sum(jacobians**2, (1, 2))), rtol=1e-5
  )
  _, terms = OBJECTIVES["rae"](model, params, KEY, X)
  squares = [np.sum(leaf**2) for leaf in jax.tree.leaves(params["decoder"])]
  np.testing.assert_allclose(terms["decoder_penalty"], sum(squares), rtol=1e-6)
  np.testing.assert_allclose(
    terms["code_penalty"], 0.5 * np.mean(np.sum(z**2, axis=1)), rtol=1e-6
  )


def sampled_elbo(model, params, key, x):
  """The negative evidence lower bound, its divergence by the sample too."""
  q = model.encode(params, x)
  z = reparameterize(key, q)
  ratio = jnp.sum(
    0.5 * z**2 - 0.5 * ((z - q.mean) ** 2 / jnp.exp(q.log_variance))
    - 0.5 * q.log_variance,
    axis=-1,
  )  # fmt: skip
  return jnp.mean(model.nll(x, model.decode(params, z)) + ratio)


@pytest.mark.parametrize(
  ("name", "hyper"),
  [("iwae", {"num_samples": 1}), ("beta_tcvae", {"beta": 1.0})],
)
def test_the_sampled_bound_is_the_limit(name, hyper):
  model, params = network(name)
  loss, _ = OBJECTIVES[name](model, params, KEY, X, **hyper)
  # Logarithms of densities that cancel.
  np.testing.assert_allclose(
    loss, sampled_elbo(model, params, KEY, X), rtol=3e-6
  )


def test_the_importance_weighted_bound_rises_with_the_samples():
  model, params = network("iwae")
  keys = jax.random.split(KEY, 500)
  losses = [
    jax.jit(
      jax.vmap(
        lambda k, n=n: OBJECTIVES["iwae"](model, params, k, X, num_samples=n)[0]
      )
    )(keys)
    for n in (1, 5, 50)
  ]
  means = np.mean(losses, axis=1)
  errors = np.std(losses, axis=1) / np.sqrt(len(keys))
  assert means[0] - means[1] > 4 * errors[0]
  assert means[1] - means[2] > 4 * errors[1]
  vae = jax.vmap(lambda k: OBJECTIVES["vae"](model, params, k, X)[0])(keys)
  assert abs(means[0] - np.mean(vae)) < 4 * errors[0]


def test_doubly_reparameterized_gradients_have_the_mean_and_less_noise():
  model, params = network("iwae")

  def gradients(doubly):
    def of_key(key):
      gradient = jax.grad(
        lambda p: OBJECTIVES["iwae"](
          model, p, key, X, num_samples=8, doubly_reparameterized=doubly
        )[0]
      )(params)
      return gradient["encoder"]["mean"], gradient["decoder"]

    return jax.jit(jax.vmap(of_key))(jax.random.split(KEY, 20_000))

  (encoder, decoder), (plain, same) = gradients(True), gradients(False)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    decoder,
    same,
  )
  for leaf, other in zip(
    jax.tree.leaves(encoder), jax.tree.leaves(plain), strict=True
  ):
    variances = np.var(leaf, axis=0), np.var(other, axis=0)
    assert np.mean(variances[0]) < np.mean(variances[1])
    errors = np.sqrt((variances[0] + variances[1]) / len(leaf))
    # Fifteen numbers: five standard errors.
    assert np.all(
      np.abs(np.mean(leaf, axis=0) - np.mean(other, axis=0)) < 5 * errors + 1e-7
    )


def test_dip_penalizes_the_covariance_of_numpy():
  model, params = network("dip_vae", latent_size=4)
  q = model.encode(params, X)
  of_means = np.cov(q.mean.T, bias=True)
  of_codes = of_means + np.diag(np.mean(np.exp(q.log_variance), axis=0))
  for kind, covariance in {"I": of_means, "II": of_codes}.items():
    _, terms = OBJECTIVES["dip_vae"](
      model, params, KEY, X, off_diagonal=2.0, diagonal=3.0, kind=kind
    )
    diagonal = np.diag(covariance)
    off = np.sum(covariance**2) - np.sum(diagonal**2)
    expected = 2 * off + 3 * np.sum((diagonal - 1) ** 2)
    np.testing.assert_allclose(terms["penalty"], expected, rtol=1e-5)


@pytest.mark.parametrize(
  ("corruption", "corrupt"),
  [
    ("gaussian", corruptions.gaussian),
    ("masking", corruptions.masking),
    ("salt_and_pepper", corruptions.salt_and_pepper),
  ],
)
def test_denoising_target_is_the_clean_input(corruption, corrupt):
  model, params = network("denoising")
  noisy = corrupt(KEY, jnp.asarray(X), 0.5)
  assert np.any(noisy != X)
  reconstruction = model.decode(params, model.encode(params, noisy))
  expected = np.mean(0.5 * np.sum((X - reconstruction) ** 2, axis=1))
  loss, _ = OBJECTIVES["denoising"](
    model, params, KEY, X, noise=0.5, corruption=corruption
  )
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


ESTIMATORS = [
  {},
  {"estimator": "hutchinson", "num_samples": 2},
  {"estimator": "subset", "num_samples": 2},
]


@pytest.mark.parametrize(
  ("name", "static"),
  [
    *((name, {}) for name in OBJECTIVES),
    *(("contractive", estimator) for estimator in ESTIMATORS[1:]),
  ],
)
def test_masked_units_change_nothing(name, static):
  # Mask of 3 in 4 against a network of 3: same key, same loss.
  model, params = network(name, latent_size=3)
  code = getattr(OBJECTIVES[name], "code", "linear")
  true = autoencoder(Spec((5,), 3, widths=(4,), activation="tanh", code=code))
  x = batch_of(name)
  loss, _ = OBJECTIVES[name](model, params, KEY, x, **floats(name), **static)
  expected, _ = OBJECTIVES[name](
    true, params_of(name, true), KEY, x, **floats(name), **static
  )
  # Sums over a longer axis may round in another order.
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.parametrize("widths", [(4,), (6, 4)])
def test_contractive_estimators_have_the_mean_of_jacfwd(widths, estimator):
  model, params = network("contractive", widths=widths)
  jacobians = jax.vmap(jax.jacfwd(lambda x: model.encode(params, x)))(X)
  expected = np.mean(np.sum(np.square(jacobians, dtype=float), axis=(1, 2)))
  keys = jax.random.split(KEY, 5000)
  losses, terms = jax.jit(
    jax.vmap(
      lambda k: OBJECTIVES["contractive"](model, params, k, X, **estimator)
    )
  )(keys)
  plain, _ = OBJECTIVES["autoencoder"](model, params, KEY, X)
  penalty = np.asarray(terms["penalty"], float)
  # Four standard errors, which are 0 of the exact form, and float32's rounding.
  error = np.std(penalty) / np.sqrt(len(keys))
  assert abs(np.mean(penalty) - expected) < 4 * error + 1e-6 * expected
  np.testing.assert_allclose(losses, plain + 0.1 * penalty, rtol=1e-6)


def test_a_part_as_large_as_the_batch_is_the_batch():
  model, params = network("contractive")
  exact, _ = OBJECTIVES["contractive"](model, params, KEY, X)
  whole, _ = OBJECTIVES["contractive"](
    model, params, KEY, X, estimator="subset", num_samples=100
  )
  np.testing.assert_allclose(whole, exact, rtol=1e-6)  # in another order


def test_an_unknown_estimator_is_an_error_that_lists_them():
  model, params = network("contractive")
  with pytest.raises(UsageError) as error:
    OBJECTIVES["contractive"](model, params, KEY, X, estimator="hutchison")
  assert (
    str(error.value)
    == "estimator is 'hutchison'; allowed: exact, hutchinson, subset"
  )


def test_the_exact_penalty_fits_into_100_mib():
  spec = Spec((784,), 32, widths=(512, 256), activation="tanh")
  run = trainer(OBJECTIVES["contractive"], spec, num_epochs=1)
  hyper = {"learning_rate": 1e-3}
  state = jax.eval_shape(lambda: run.init(KEY, hyper))
  batch = jax.ShapeDtypeStruct((128, 784), jnp.float32)
  compiled = jax.jit(run.step).lower(state, batch, hyper).compile()
  # jax.jacfwd takes ten times as much.
  assert compiled.memory_analysis().temp_size_in_bytes < 100 * 2**20


def test_codes_that_objectives_ask_for_exist():
  for objective in OBJECTIVES.values():
    assert getattr(objective, "code", "linear") in CODES

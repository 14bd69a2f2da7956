"""The norm of an encoder's Jacobian, against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import (
  ARCHITECTURES,
  TOLERANCE,
  any_params,
  assert_trees_close,
  images,
  padding,
  quick_jit,
)

from ae_jax import networks
from ae_jax.networks import Spec, autoencoder

JACOBIANS = [
  {"widths": (4,), "activation": "elu", "code": "softplus"},
  {"widths": (4,), "activation": "relu"},
  {"widths": (8, 6), "code": "gaussian"},
  {"widths": ()},
  {"widths": (6, 7, 8), "activation": "gelu", "code": "softplus"},
  {"widths": (90,), "code": "sigmoid"},  # more units than features
  {"widths": (4,), "latent_size": 50},  # overcomplete
  {"features": (6, 6), "network": "conv", "widths": (3, 2), "code": "elu"},
]
MORE_JACOBIANS = [
  *(
    {"widths": (4,), "activation": name, "code": name}
    for name in networks.ACTIVATIONS
  ),
  {"widths": (4,)},
  {"widths": (4,), "code": "gaussian"},
  {"widths": (), "code": "sigmoid"},
  {"widths": (8, 6)},
  {"widths": (8, 6), "code": "sigmoid"},
  {"widths": (90,), "latent_size": 2},
  {"widths": (8, 6), "latent_size": 50, "code": "tanh"},
  {"features": (6, 6, 1), "widths": (8,)},
  {"features": (6, 6, 1), "network": "conv", "widths": (3,)},
  {"features": (4, 4), "network": "conv", "widths": (3,), "latent_size": 20},
  {"features": (6, 6), "network": "conv", "widths": (3,), "code": "gaussian"},
]


@pytest.mark.parametrize(
  "fields",
  [
    *JACOBIANS,
    *(pytest.param(f, marks=pytest.mark.slow) for f in MORE_JACOBIANS),
  ],
  ids=str,
)
def test_jacobian_norm_is_that_of_jacfwd(fields):
  defaults = {"features": (40,), "latent_size": 5, "activation": "tanh"}
  spec = Spec(**(defaults | fields))
  size = spec.latent_size - 1  # there is something in the padding
  model = autoencoder(spec, size)
  weights = np.arange(1.0, 13.0)  # that no two examples count the same

  def by_definition(params, x):
    def encode(x):
      code = model.encode(params, x)
      return code.mean if spec.code == "gaussian" else code

    jacobian = jax.vmap(jax.jacfwd(encode))(x)
    norm = jnp.sum(jacobian.reshape(12, -1) ** 2, axis=1)
    return jnp.sum(weights * norm), (encode(x), norm)

  def by_model(params, x):
    z, norm = model.encode_and_jacobian_norm(params, x)
    return jnp.sum(weights * norm), (z, norm)

  with jax.enable_x64(True):
    params, x = jax.tree.map(
      lambda leaf: jnp.asarray(leaf, jnp.float64),
      (any_params(model), images(spec, 12)),
    )
    expected, actual = (
      quick_jit(jax.value_and_grad(function, has_aux=True))(params, x)
      for function in (by_definition, by_model)
    )
  # float64 has 16 digits; sums of both signs over thousands of terms lose few.
  assert_trees_close(actual, expected, rtol=1e-9, atol=1e-12)
  for leaf in padding(actual[1], size):
    np.testing.assert_array_equal(leaf, 0)


@pytest.mark.parametrize("architecture", ARCHITECTURES[1::2])
def test_jacobian_norm_has_free_leading_dimensions(architecture):
  spec = Spec(latent_size=5, **architecture)
  model = autoencoder(spec)
  params, x = any_params(model), images(spec, 2, 3)
  run = quick_jit(model.encode_and_jacobian_norm)
  nested, one = run(params, x), run(params, x[1, 2])
  assert [leaf.shape for leaf in nested] == [(2, 3, 5), (2, 3)]
  assert [leaf.shape for leaf in one] == [(5,), ()]
  assert_trees_close(one, jax.tree.map(lambda a: a[1, 2], nested), **TOLERANCE)

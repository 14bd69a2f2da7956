"""Metrics of a model that is given the class of each example."""

import jax
import numpy as np
import pytest

from ae_jax import data
from ae_jax.data.supervision import class_numbers
from ae_jax.metrics import activity, likelihood, noise, rate, reconstruction
from ae_jax.metrics.codes import encode
from ae_jax.metrics.eval_data import eval_data
from ae_jax.networks import Spec, autoencoder, given
from ae_jax.objectives import OBJECTIVES

NUM_CLASSES = 3
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(30, 6)).astype(np.float32)
LABEL = np.arange(30) % NUM_CLASSES


@pytest.fixture(scope="module")
def conditional():
  """A random conditional VAE: classes 0 and 1 were trained on, 2 was not."""
  spec = Spec((6,), 2, code="gaussian", objective=OBJECTIVES["conditional_vae"])
  model = autoencoder(spec)
  biases = {
    f"{part}_bias": RNG.normal(size=(NUM_CLASSES, 64)).astype(np.float32)
    for part in ("encoder", "decoder")
  }
  params = model.init(jax.random.key(0)) | {"objective": biases}
  return model, params | {"state": {"seen": np.array([1.0, 1.0, 0.0, 0.0])}}


def measured(model, params, x, label=None):
  """Means over examples."""
  z = encode(model, params, x, label)
  two = np.stack([z, np.zeros_like(z)], axis=1)
  bounds, _ = likelihood.elbo_and_iwae(
    model, params, jax.random.key(0), x, 2, label
  )
  of_examples = {
    "code": z,
    "rounded": rate.squared_errors(model, params, two, x, label),
    "kl": bounds["kl"],
    **reconstruction.unit_interval_errors(model, params, x, label),
  }
  norms, values = activity.jacobian(model, params, x, label)
  of_examples |= {"jacobian_norm": norms, "singular_values": values}
  return {name: np.mean(v, axis=0) for name, v in of_examples.items()}


def test_metrics_are_those_of_the_models_of_the_classes(conditional):
  model, params = conditional
  some = LABEL < 2
  found = measured(model, params, X[some], LABEL[some])
  parts = [
    measured(model, model.condition(params, k), X[np.equal(LABEL, k)])
    for k in (0, 1)
  ]
  for name, value in found.items():
    expected = np.mean([part[name] for part in parts], axis=0)
    np.testing.assert_allclose(value, expected, rtol=1e-5, err_msg=name)


def test_noisy_data_are_told_their_class(conditional):
  model, params = conditional
  some = LABEL < 2
  x, label = X[some], LABEL[some]
  clean, masked = (
    reconstruction.squared_errors(
      model,
      params,
      x,
      label,
      noise.corrupted(jax.random.key(0), x, "masking", level),
    )
    for level in (0.0, 0.9)
  )
  expected = reconstruction.squared_errors(model, params, x, label)
  np.testing.assert_allclose(clean, expected, rtol=1e-5)
  assert np.all(masked != clean)  # of a random model, either may be larger


@pytest.mark.parametrize("label", [2, -1])
def test_what_was_not_trained_is_nan(conditional, label):
  model, params = conditional
  z = given(model, np.array([label, 0])).encode(params, X[:2]).mean
  np.testing.assert_array_equal(np.isnan(z), [[True] * 2, [False] * 2])
  seen = params | {"state": {"seen": np.array([1.0, 1.0, 0.0, 1.0])}}
  told = given(model, np.array([label])).encode(seen, X[:1]).mean
  if label == -1:
    np.testing.assert_allclose(told, model.encode(params, X[:1]).mean, 1e-6)
  assert np.isfinite(told).all()


def test_another_model_needs_no_class():
  model = autoencoder(Spec((6,), 2))
  assert given(model, LABEL) is model


def test_classes_have_the_numbers_that_training_gave_them():
  words = np.array(["cat", "dog", "ant", "cat"])
  dataset = data.from_arrays(
    X[:4], X[:3], words, np.array(["bee", "dog", "zebra"])
  )
  np.testing.assert_array_equal(class_numbers(dataset, words), [1, 2, 0, 1])
  measured_on = eval_data(dataset)
  np.testing.assert_array_equal(measured_on.test_label, [-1, 2, -1])
  without = eval_data(dataset._replace(test_labels=None))
  np.testing.assert_array_equal(without.test_label, [-1, -1, -1])
  assert eval_data(dataset._replace(train_labels=None)).test_label is None

"""A trained autoencoder as functions on arrays of any length."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from ae_jax import batches
from ae_jax.codes import sample_mixture
from ae_jax.data import Standardization, check_integers, to_float
from ae_jax.engine.training_loop import TrainedGroup
from ae_jax.metrics.reconstruction import codes, reconstruct
from ae_jax.networks import Spec, model_of
from ae_jax.objectives import OBJECTIVES
from ae_jax.parameters import unpadded
from ae_jax.types import Array, Autoencoder, Params, UsageError


class Trained(NamedTuple):
  """One trained trial.

  Its methods take and give NumPy arrays in the units of the data that it was
  trained on: of a model that was trained on bytes they are read as x / 255;
  standardization is applied and undone. They process an array in batches, which
  `encode_batches` and its like yield one by one: with these, what does not fit
  in memory may be a memory-mapped file. It can be pickled, where the functions
  of its spec can: those of a module, not of a factory.

  Attributes:
    row: its row of the table, see `rows.trial_rows`.
    history: term -> `[num_epochs]`, means over each epoch.
    spec: of its network, of its own latent size.
    params: of the network.
    standardization: what its data was standardized with, or None.
    data_range: the least and the greatest value of its train data in the units
      of the data, see `data.value_range`.
    bytes: whether its train data were uint8, which stand for x / 255.
  """

  row: dict[str, Any]
  history: dict[str, np.ndarray]
  spec: Spec
  params: Params
  standardization: Standardization | None
  data_range: tuple[float, float]
  bytes: bool

  @classmethod
  def of(
    cls,
    trained: TrainedGroup,
    row: dict[str, Any],
    standardization: Standardization | None,
    data_range: tuple[float, float],
    bytes: bool,
  ) -> "Trained":
    """A group of one trial, with its row and what is known of its data."""
    (settings,) = trained.settings
    padded = jax.tree.map(lambda p: np.asarray(p[0]), trained.params)
    spec = dataclasses.replace(
      trained.spec, latent_size=settings["latent_size"]
    )
    objective = spec.objective or OBJECTIVES.get(settings["objective"])
    return cls(
      row=row,
      history={name: term[0] for name, term in trained.history.items()},
      spec=spec,
      params=unpadded(objective, spec, settings, padded),
      standardization=standardization,
      data_range=data_range,
      bytes=bytes,
    )

  def __repr__(self) -> str:
    names = "id", "status", "objective", "latent_size", "test_squared_error"
    return f"Trained({', '.join(f'{n}={self.row.get(n)!r}' for n in names)})"

  @property
  def model(self) -> Autoencoder:
    """The network as pure functions of `params`."""
    return model_of(self.spec, self.params)

  def condition(self, label: int) -> "Trained":
    """The model of a class: p(x|z, y) and q(z|x, y) of a conditional VAE.

    Args:
      label: y, the number of the class, from 0, in the order of the train
        set's labels.

    Raises:
      UsageError: the model knows no classes, or not that one; or is conditioned
        on one already.
    """
    condition = self.spec.declaration.condition
    if condition is None or not self._known:
      raise UsageError(
        f"this model of {self.row['objective']} is of no class, or of one"
        " already: a label is given once, to an objective that declares"
        " `condition`, such as conditional_vae"
      )
    num_classes = self.row["num_classes"]
    if not 0 <= label < num_classes:
      raise UsageError(f"label must be in [0, {num_classes}); got {label}")
    if label not in self.classes:
      raise UsageError(f"no example of class {label} was trained on")
    params = jax.tree.map(np.asarray, condition(self.params, label))
    return self._replace(params=params)

  @property
  def classes(self) -> list[int]:
    """Those that `condition` takes: that were trained on; none otherwise."""
    return [label for label in self._known if label is not None]

  @property
  def needs_class(self) -> bool:
    """Whether it was never trained without a class: `condition` it first."""
    return bool(self._known) and None not in self._known

  @property
  def _known(self) -> list[int | None]:
    classes = self.spec.declaration.classes
    return [] if classes is None else classes(self.params)

  def check_class(self) -> None:
    """Raises UsageError where the model is to be conditioned first."""
    if self.needs_class:
      raise UsageError(
        "every example was trained on with its class, so the model is of no use"
        f" without: give one, .condition(label) or --label, of {self.classes}"
      )

  def encode(self, x: np.ndarray) -> np.ndarray:
    """Codes z = f(x); of a Gaussian code the mean.

    Args:
      x: `[n, *features]`: numbers, or bytes (which stand for x / 255 if the
        model was trained on bytes, else for themselves). NaN is missing, where
        it was in training: see `missing` of `run_sweep`.

    Returns:
      `[n, latent]`, float32.

    Warns:
      UserWarning: x goes beyond the train data, at either end, by more than
        their whole range: it may be in other units.

    Raises:
      UsageError: x has another shape, or holds what is no finite number; or
        bytes above 1 for a model that was trained on numbers up to 1; or whole
        numbers above 1 of another type for one that was trained on bytes.
    """
    return np.concatenate([*self.encode_batches(x)])

  def decode(self, z: np.ndarray) -> np.ndarray:
    """Means x~ of p(x|z), in the units of the data.

    Of counts with a library size, which a code does not tell, at size 1: the
    shares of an example. `reconstruct` takes the size of each example.

    Args:
      z: codes `[n, latent]`.

    Returns:
      `[n, *features]`, float32.

    Raises:
      UsageError: z has another shape, or holds what is no finite number.
    """
    return np.concatenate([*self.decode_batches(z)])

  def reconstruct(self, x: np.ndarray) -> np.ndarray:
    """Reconstructions x~ = g(f(x)), `[n, *features]`; see `encode`.

    They are complete, also where entries of x are missing.
    """
    return np.concatenate([*self.reconstruct_batches(x)])

  def sample(
    self, num_samples: int, seed: int = 0, like: np.ndarray | None = None
  ) -> np.ndarray:
    """Means of p(x|z) at codes from the prior, or from a fitted density.

    Args:
      num_samples: how many.
      seed: of the random numbers, in [0, 2^31).
      like: data `[n, *features]`, to whose codes a density is fitted, see
        `density.sample_codes`; None takes the prior, see `sample_codes`.

    Returns:
      `[num_samples, *features]`, float32.
    """
    if like is None:
      return self.decode(self.sample_codes(num_samples, seed))
    from ae_jax import density  # here: it loads scikit-learn

    return self.decode(
      density.sample_codes(self.encode(like), num_samples, seed)
    )

  def sample_codes(self, num_samples: int, seed: int = 0) -> np.ndarray:
    """Codes from the prior p(z): the objective's own, or else N(0, I).

    Args:
      num_samples: how many; of more of them these are the first.
      seed: of the random numbers, in [0, 2^31).

    Returns:
      `[num_samples, latent]`, float32.

    Raises:
      UsageError: the code has no prior: the objective is not a VAE; or a number
        is out of range.
    """
    has_prior = self.spec.declaration.prior is not None
    if self.spec.code != "gaussian" and not has_prior:
      raise UsageError(
        f"objective {self.row['objective']} has no prior to sample from; one"
        " with a Gaussian code has: choose it by objective=vae, or sample codes"
        " like those of data: like=x"
      )
    for name, value in {"num_samples": num_samples, "seed": seed}.items():
      if not 0 <= value < 2**31:
        raise UsageError(f"{name} must be in [0, 2^31); got {value}")
    with jax.default_matmul_precision("highest"):
      prior = self.model.prior(self.params)
    return sample_mixture(prior, num_samples, seed)

  def search(
    self, queries: np.ndarray, gallery: np.ndarray, num: int = 10
  ) -> tuple[np.ndarray, np.ndarray]:
    """The examples of a gallery whose codes are nearest to those of queries.

    Args:
      queries: `[m, *features]`.
      gallery: `[n, *features]`.
      num: how many, at most n.

    Returns:
      Euclidean distances of the codes and indices into the gallery, each
      `[m, num]`, the nearest first.

    Raises:
      UsageError: see `encode`; or num is not in 1 ... n.
    """
    if not 1 <= num <= len(gallery):
      raise UsageError(f"num must be in 1 ... {len(gallery)}; got {num}")
    from ae_jax.nearest import nearest  # here: it loads scikit-learn

    return nearest(self.encode(queries), self.encode(gallery), num)

  def save(self, folder: str | os.PathLike[str]) -> None:
    """Writes the model as `weights.safetensors` and `spec.json`.

    `ae_jax.load(folder)` reads it back.

    Raises:
      UsageError: the folder holds other files, or cannot be written.
    """
    from ae_jax import export  # here: it loads safetensors

    export.save_weights(self, pathlib.Path(folder))

  def export(self, folder: str | os.PathLike[str]) -> None:
    """The same with StableHLO functions that need nothing of this package.

    Raises:
      UsageError: the folder holds other files, or cannot be written.
    """
    from ae_jax import export  # here: it loads safetensors

    export.save(self, pathlib.Path(folder))

  def encode_batches(self, x: np.ndarray) -> Iterator[np.ndarray]:
    """What `encode` gives, `[batch, latent]` at a time."""
    encode = self._function(_encode)
    return (encode(batch) for batch in self._data(x))

  def decode_batches(self, z: np.ndarray) -> Iterator[np.ndarray]:
    """What `decode` gives, `[batch, *features]` at a time."""
    decode = self._function(_decode)
    z = batches.checked(z, (self.spec.latent_size,), "codes")
    finite = batches.finite(map(batches.float32, batches.blocks(z)), "codes")
    return (self._undo(decode(batch)) for batch in finite)

  def reconstruct_batches(self, x: np.ndarray) -> Iterator[np.ndarray]:
    """What `reconstruct` gives, `[batch, *features]` at a time."""
    reconstruct = self._function(_reconstruct)
    return (self._undo(reconstruct(batch)) for batch in self._data(x))

  def _function(
    self, function: Callable[[Spec, Params, np.ndarray], Array]
  ) -> Callable[[np.ndarray], np.ndarray]:
    self.check_class()
    params = jax.device_put(self.params)  # once, and not for each batch
    return lambda batch: batches.padded(
      functools.partial(function, self.spec, params), batch
    )

  def numbers(self, x: np.ndarray) -> np.ndarray:
    """Data as float32 in its units, as `encode` reads it."""
    if x.dtype == np.uint8:
      if self.bytes:
        return to_float(x)
      if self.data_range[1] <= 1 < x.max(initial=0):
        raise UsageError(
          f"bytes up to {x.max()} for a model that was trained on numbers up to"
          " 1: give x / 255"
        )
    elif self.bytes and x.max(initial=0) > 1 and np.all(x == np.round(x)):
      raise UsageError(
        f"whole numbers up to {x.max():g}, held as {x.dtype}, for a model that"
        " was trained on bytes: give them as uint8, or x / 255"
      )
    check_integers(x, "the data")
    return batches.float32(x)

  def _data(self, x: np.ndarray) -> Iterator[np.ndarray]:
    x = batches.checked(x, self.spec.features, "data")
    numbers = map(self.numbers, batches.blocks(x))
    finite = batches.finite(numbers, "data", self.spec.missing)
    finite = batches.like_trained(finite, self.data_range)
    scale = self.standardization
    return finite if scale is None else map(scale.apply, finite)

  def _undo(self, x: np.ndarray) -> np.ndarray:
    return x if self.standardization is None else self.standardization.undo(x)


@functools.partial(jax.jit, static_argnums=0)
def _encode(spec: Spec, params: Params, x: Array) -> Array:
  return codes(model_of(spec, params), params, to_float(x))


@functools.partial(jax.jit, static_argnums=0)
def _decode(spec: Spec, params: Params, z: Array) -> Array:
  model = model_of(spec, params)
  return model.mean(model.decode(params, z))


@functools.partial(jax.jit, static_argnums=0)
def _reconstruct(spec: Spec, params: Params, x: Array) -> Array:
  return reconstruct(model_of(spec, params), params, to_float(x))

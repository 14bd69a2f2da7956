"""What one objective's trained models do: the pictures of its section."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import pca
from ae_jax.data import Dataset, to_float
from ae_jax.objectives.denoising import CORRUPTIONS
from ae_jax.report import pictures, trials
from ae_jax.report.blocks import Picture
from ae_jax.report.trials import Row, Rows
from ae_jax.trained import Trained

_NUM_CODES = 1000  # test examples whose codes are drawn
_NUM_EXAMPLES = 10  # of them that are shown
_NUM_PROFILES = 4  # of those, where they are no images
_NUM_FILTERS = 32
_NUM_STRENGTHS = 6
_NUM_TRAVERSED = 8  # units
_STEPS = np.linspace(-3, 3, 9)  # of a traversal, in standard deviations
_MANIFOLD = 14  # images along each side


class Examples(NamedTuple):
  """The part of a dataset that is shown.

  Attributes:
    x: test examples `[n, *features]`, in the units of the data.
    labels: `[n]`, or None.
    shown: indices of the few to look at, one a class where there are classes.
    low: of `x`, which is drawn black.
    high: of `x`, which is drawn white.
    dataset: where they are from.
    baseline: the PCA of its train set.
  """

  x: np.ndarray
  labels: np.ndarray | None
  shown: list[int]
  low: float
  high: float
  dataset: Dataset
  baseline: pca.PCA


class Shown(NamedTuple):
  """The trials of one objective that are looked at.

  Attributes:
    best: by the chosen measure.
    plane: the best of those with two code units, or None.
    strength: the name of the hyper-parameter that is swept, or None.
    alike: trials like the best one at other strengths, in rising order.
  """

  best: Row
  plane: Row | None
  strength: str | None
  alike: list[Row]

  @property
  def ids(self) -> set[str]:
    """Of the trials to load."""
    plane = [self.plane] if self.plane else []
    return {row["id"] for row in (self.best, *plane, *self.alike)}


def examples(dataset: Dataset) -> Examples:
  """Picks what to show of a dataset, and fits the PCA to its train set."""
  x = _raw(dataset, dataset.test[:_NUM_CODES])
  labels = dataset.test_labels
  labels = None if labels is None else labels[:_NUM_CODES]
  order = [*range(len(x))]
  if labels is not None:
    firsts = np.unique(labels, return_index=True)[1].tolist()
    order = [*firsts, *sorted({*order} - {*firsts})]
  low, high = float(x.min()), float(x.max())
  return Examples(
    x=x,
    labels=labels,
    shown=order[:_NUM_EXAMPLES],
    low=low,
    high=high if high > low else low + 1.0,
    dataset=dataset,
    baseline=pca.fit(to_float(dataset.train).reshape(len(dataset.train), -1)),
  )


def choose(rows: Rows, by: str) -> Shown | None:
  """Picks the trials of one objective to look at; None where none is fit."""
  best = trials.best(rows, by)
  if best is None:
    return None
  strength = trials.strength(rows)
  alike = [best]
  if strength is not None:
    others = [name for name in trials.settings(rows) if name != strength]
    peers = {
      row[strength]: row
      for row in trials.ok(rows)
      if all(row[name] == best[name] for name in others)
    }
    alike = [peers[value] for value in trials.ordered(peers)]
    step = -(-len(alike) // _NUM_STRENGTHS)
    alike = alike[::step]
  plane = [row for row in rows if row["latent_size"] == "2"]
  return Shown(best, trials.best(plane, by), strength, alike)


def look(
  shown: Shown,
  rows: Rows,
  models: Mapping[str, Trained],
  seen: Examples,
  beside: Picture | None,
) -> list[Picture]:
  """All pictures of one objective.

  Args:
    shown: from `choose`.
    rows: of the objective.
    models: id -> model, for `shown.ids` at least.
    seen: from `examples`.
    beside: from `pca_codes`.
  """
  best = models[shown.best["id"]]
  plane = models[shown.plane["id"]] if shown.plane else None
  codes = {row["id"]: models[row["id"]].encode(seen.x) for row in shown.alike}
  z = codes.get(shown.best["id"])
  z = best.encode(seen.x) if z is None else z
  made = [
    _reconstructions(best, shown.best, rows, z, seen),
    _codes(best, plane, z, seen),
    beside,
    _values(shown, codes),
    _jacobian_norms(shown, rows),
    _filters(best),
  ]
  if best.spec.code == "gaussian" and is_images(best.spec.features):
    made += [_samples(best, seen), _traversal(best, z, seen)]
    if plane is not None and plane.spec.code == "gaussian":
      made.append(_manifold(plane, seen))
  return [picture for picture in made if picture is not None]


def is_images(features: tuple[int, ...]) -> bool:
  """Whether examples are `[h, w]`, `[h, w, 1]` or `[h, w, 3]`."""
  return len(features) in (2, 3) and (*features, 1)[2] in (1, 3)


def as_images(x: np.ndarray, seen: Examples) -> np.ndarray:
  """`[n, *features]` in the data's units -> `[n, h, w(, 3)]` in [0, 1]."""
  scaled = np.clip((x - seen.low) / (seen.high - seen.low), 0, 1)
  one_channel = seen.x.ndim == 4 and scaled.shape[-1] == 1
  return scaled[..., 0] if one_channel else scaled


def by_pca(seen: Examples, latent_size: int) -> np.ndarray:
  """PCA's reconstructions of the shown examples, in the units of the data."""
  flat = to_float(seen.dataset.test[seen.shown]).reshape(len(seen.shown), -1)
  z = pca.transform(seen.baseline, flat, latent_size)
  x = pca.inverse(seen.baseline, z).reshape(-1, *seen.x.shape[1:])
  return _raw(seen.dataset, x)


def _raw(dataset: Dataset, x: np.ndarray) -> np.ndarray:
  """Examples of a dataset in the units of the data, float32."""
  if dataset.standardization is not None:
    return dataset.standardization.undo(x)
  return to_float(x).astype(np.float32)


def _reconstructions(
  best: Trained, row: Row, rows: Rows, z: np.ndarray, seen: Examples
) -> Picture:
  x = seen.x[seen.shown]
  size = best.spec.latent_size
  lines = [("original", x)]
  caption = "Test examples and their reconstructions"
  level = _noise(row, rows)
  if level is not None:
    noisy = _corrupt(x, row["corruption"], level, seen)
    lines += [("noisy", noisy), ("from noisy", best.reconstruct(noisy))]
    caption += (
      f"; {row['corruption'].replace('_', ' ')} noise of level {level:g} was"
      " put on the noisy ones"
    )
  lines += [
    ("reconstructed", best.decode(z[seen.shown])),
    ("by PCA", by_pca(seen, size)),
  ]
  components = min(size, len(seen.baseline.components))
  caption += (
    f"; code of {size} units, PCA of {components} components; the data have"
    f" {seen.baseline.mean.size} features."
  )
  alt = f"Rows of test examples: {', '.join(name for name, _ in lines)}"
  if is_images(best.spec.features):
    images = [(name, as_images(values, seen)) for name, values in lines]
    return pictures.embed(pictures.strips(images), caption, alt, wide=True)
  few = [
    (name, values[:_NUM_PROFILES].reshape(len(values[:_NUM_PROFILES]), -1))
    for name, values in lines
  ]
  return pictures.embed(pictures.profiles(few), caption, alt, wide=True)


def _noise(row: Row, rows: Rows) -> float | None:
  """The trial's level of noise; the strongest of its peers where it has 0."""
  if row.get("corruption") not in CORRUPTIONS:
    return None
  level = trials.number(row, "noise")
  levels = [trials.number(peer, "noise") or 0.0 for peer in rows]
  return level or max(levels) or None


def _corrupt(
  x: np.ndarray, corruption: str, level: float, seen: Examples
) -> np.ndarray:
  """Noise as in training, where the data may be standardised."""
  statistics = seen.dataset.standardization
  clean = x if statistics is None else statistics.apply(x)
  key = jax.random.key(0)
  noisy = np.asarray(CORRUPTIONS[corruption](key, jnp.asarray(clean), level))
  return _raw(seen.dataset, noisy)


def pca_codes(seen: Examples) -> Picture | None:
  """The test examples in the plane of PCA's first two components."""
  test = to_float(seen.dataset.test[: len(seen.x)]).reshape(len(seen.x), -1)
  z = pca.transform(seen.baseline, test, 2)
  return _plane(z, "PCA of the data: the first two components", seen)


def _codes(
  best: Trained, plane: Trained | None, z: np.ndarray, seen: Examples
) -> Picture | None:
  if plane is not None:
    z = z if plane is best else plane.encode(seen.x)
    return _plane(z, f"The two code units of trial {plane.row['id']}", seen)
  if len(z) < 2:
    return None
  z = pca.transform(pca.fit(z), z, 2)
  return _plane(z, "The first two principal components of the codes", seen)


def _plane(z: np.ndarray, caption: str, seen: Examples) -> Picture | None:
  if z.shape[1] < 2:
    return None
  caption += f"; {len(z)} test examples"
  if seen.labels is not None:
    caption += ", coloured and marked by class"
  return pictures.embed(
    pictures.scatter(z, seen.labels), f"{caption}.", f"Scatter plot. {caption}"
  )


def _values(shown: Shown, codes: Mapping[str, np.ndarray]) -> Picture:
  name = shown.strength
  values = [
    (row[name] if name else "", codes[row["id"]]) for row in shown.alike
  ]
  caption = "How often code units take each value on test examples"
  if len(values) > 1:
    caption += f", for each {name}"
  return pictures.embed(
    pictures.histograms(values), f"{caption}.", f"Histogram. {caption}"
  )


def _jacobian_norms(shown: Shown, rows: Rows) -> Picture | None:
  name = shown.strength
  if name is None:
    return None
  size = shown.best["latent_size"]
  own = [row for row in rows if row["latent_size"] == size]
  norms = {
    value: summary
    for (value,), summary in trials.means(own, "jacobian_norm", (name,)).items()
  }
  if not norms:
    return None
  caption = (
    f"Norm of the encoder's Jacobian df/dx for each {name}, at {size} code"
    " units: mean and standard deviation"
  )
  return pictures.embed(
    pictures.errors(name, [(v, norms[v]) for v in trials.ordered(norms)]),
    f"{caption}.",
    f"Line plot. {caption}",
  )


def _filters(best: Trained) -> Picture | None:
  spec = best.spec
  if spec.network != "mlp" or not is_images(spec.features):
    return None
  encoder = best.params["encoder"]
  head = "mean" if spec.code == "gaussian" else "code"
  kernel = encoder["hidden_0" if spec.widths else head]["kernel"]
  strongest = np.argsort(-np.linalg.norm(kernel, axis=0))[:_NUM_FILTERS]
  filters = kernel.T[strongest].reshape(-1, *spec.features)
  if filters.shape[-1] == 1 and filters.ndim == 4:
    filters = filters[..., 0]
  scale = np.abs(filters).max(axis=(*range(1, filters.ndim),), keepdims=True)
  images = 0.5 + 0.5 * filters / np.where(scale > 0, scale, 1)
  return pictures.embed(
    pictures.tiles(_rectangle(images, 8), cmap="PuOr"),
    f"The {len(images)} first-layer filters of largest norm, each to its own"
    " scale; 0 is "
    + ("grey." if filters.ndim == 4 else "white, purple above, orange below."),
    "Images of the weights of first-layer units",
  )


def _samples(best: Trained, seen: Examples) -> Picture:
  images = as_images(best.sample(36), seen)
  return pictures.embed(
    pictures.tiles(_rectangle(images, 6)),
    "Samples: means of p(x|z) at codes from the prior, z ~ N(0, I).",
    "A grid of images sampled from the prior",
  )


def _traversal(best: Trained, z: np.ndarray, seen: Examples) -> Picture:
  units = np.argsort(-np.var(z, axis=0))[:_NUM_TRAVERSED]
  steps = np.tile(z[seen.shown[0]], (len(units), len(_STEPS), 1))
  for i, unit in enumerate(units):
    steps[i, :, unit] = _STEPS
  decoded = best.decode(steps.reshape(-1, z.shape[1]))
  images = as_images(decoded, seen)
  return pictures.embed(
    pictures.tiles(images.reshape(*steps.shape[:2], *images.shape[1:])),
    f"A latent traversal: each row moves one unit from {_STEPS[0]:g} to"
    f" {_STEPS[-1]:g}, from the unit of largest variance down; the others stay"
    " at the code of one test example.",
    "Rows of images that change as one code unit moves",
  )


def _manifold(plane: Trained, seen: Examples) -> Picture:
  places = np.linspace(0.03, 0.97, _MANIFOLD)
  quantiles = [NormalDist().inv_cdf(p) for p in places.tolist()]
  z = np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1)
  decoded = plane.decode(z.reshape(-1, 2).astype(np.float32))
  return pictures.embed(
    pictures.tiles(_rectangle(as_images(decoded, seen), _MANIFOLD)),
    f"The manifold of trial {plane.row['id']}: decoded at a grid of quantiles"
    " of N(0, I), the first unit to the right, the second upwards.",
    "A square grid of images decoded over the plane of codes",
  )


def _rectangle(images: np.ndarray, columns: int) -> np.ndarray:
  """`[n, h, w(, 3)]` -> `[rows, columns, h, w(, 3)]`, filled up with white."""
  columns = min(columns, len(images))
  missing = -len(images) % columns
  padding = [(0, missing)] + [(0, 0)] * (images.ndim - 1)
  nothing = 1.0 if images.ndim == 4 else np.nan
  filled = np.pad(images, padding, constant_values=nothing)
  return filled.reshape(-1, columns, *images.shape[1:])

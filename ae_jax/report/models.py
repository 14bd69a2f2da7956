"""What one objective's trained models do: the pictures of its section."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import pca
from ae_jax.data import are_images, to_float
from ae_jax.metrics import selection
from ae_jax.metrics.registry import METRICS
from ae_jax.objectives.denoising import CORRUPTIONS
from ae_jax.report import generated, pictures, trials
from ae_jax.report.blocks import Picture
from ae_jax.report.examples import (
  Examples,
  as_images,
  by_pca,
  to_raw,
)
from ae_jax.report.trials import Row, Rows
from ae_jax.trained import Trained

_NUM_PROFILES = 4  # examples shown where they are no images
_NUM_FILTERS = 32
_NUM_STRENGTHS = 6


class Shown(NamedTuple):
  """The trials of one objective that are looked at.

  Attributes:
    best: by the chosen metric.
    plane: the best of those with two code units, or None.
    noisy: one that was trained on noisy inputs, the best if it was, or None.
    content: the best whose code has a part for content, or None.
    strength: the name of the hyper-parameter that is swept, or None.
    alike: trials like the best one at other strengths, in rising order.
  """

  best: Row
  plane: Row | None
  noisy: Row | None
  content: Row | None
  strength: str | None
  alike: list[Row]

  @property
  def ids(self) -> set[str]:
    """Of the trials to load."""
    rows = (self.best, self.plane, self.noisy, self.content, *self.alike)
    return {row["id"] for row in rows if row is not None}


def choose(rows: Rows, by: str) -> Shown | None:
  """Picks the trials of one objective to look at; None where none is fit."""
  best = selection.best(rows, by)
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
  return Shown(
    best,
    selection.best(plane, by),
    _trained_on_noise(best, rows, by),
    selection.best([r for r in rows if selection.number(r, "content")], by),
    strength,
    alike,
  )


def _trained_on_noise(best: Row, rows: Rows, by: str) -> Row | None:
  """The best trial, or else the best one of the strongest noise."""
  levels = {
    row["id"]: selection.number(row, "noise") or 0.0
    for row in trials.ok(rows)
    if row.get("corruption") in CORRUPTIONS
  }
  if levels.get(best["id"], 0.0) > 0:
    return best
  strongest = max(levels.values(), default=0.0)
  if strongest <= 0:
    return None
  return selection.best(
    [r for r in rows if levels.get(r["id"]) == strongest], by
  )


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
    seen: from `examples.of`.
    beside: from `pca_codes`.
  """
  best = models[shown.best["id"]]
  plane = models[shown.plane["id"]] if shown.plane else None
  codes = {row["id"]: models[row["id"]].encode(seen.x) for row in shown.alike}
  z = codes.get(shown.best["id"])
  z = best.encode(seen.x) if z is None else z
  made = [
    _reconstructions(best, z, seen),
    _restorations(shown, models, seen),
    _codes(best, plane, z, seen),
    beside,
    _values(shown, codes),
    _over_strength(shown, rows, "jacobian_norm", "norm of df/dx"),
    _over_strength(shown, rows, "mig", "mutual information gap"),
    _over_strength(shown, rows, "udr", "unsupervised ranking"),
    _filters(best),
  ]
  if best.spec.code == "gaussian" and are_images(best.spec.features):
    made += [
      generated.samples(best, seen),
      generated.traversal(best, z, seen),
    ]
    if "decoder_bias" in best.params.get("objective", {}):
      made.append(generated.by_class(best, seen))
    if shown.content is not None:
      made.append(generated.swaps(models[shown.content["id"]], seen))
    if plane is not None and plane.spec.code == "gaussian":
      made.append(generated.manifold(plane, seen))
  return [picture for picture in made if picture is not None]


def _reconstructions(best: Trained, z: np.ndarray, seen: Examples) -> Picture:
  size = best.spec.latent_size
  components = min(size, len(seen.baseline.components))
  return _rows(
    [
      ("original", seen.x[seen.shown]),
      ("reconstructed", best.decode(z[seen.shown])),
      ("by PCA", by_pca(seen, size)),
    ],
    "Test examples and their reconstructions. Number of code units:"
    f" {size}, of PCA's components: {components}, of features:"
    f" {seen.baseline.mean.size}.",
    seen,
  )


def _restorations(
  shown: Shown, models: Mapping[str, Trained], seen: Examples
) -> Picture | None:
  row = shown.noisy
  if row is None:
    return None
  x = seen.x[seen.shown]
  level = selection.number(row, "noise") or 0.0
  noisy = _corrupt(x, row["corruption"], level, seen)
  return _rows(
    [
      ("original", x),
      ("noisy", noisy),
      ("restored", models[row["id"]].reconstruct(noisy)),
    ],
    f"Test examples with {row['corruption'].replace('_', ' ')} noise of level"
    f" {level:g}, as in the training of trial {row['id']}, and its output.",
    seen,
  )


def _rows(
  lines: list[tuple[str, np.ndarray]], caption: str, seen: Examples
) -> Picture:
  """The same examples in several versions, a row for each."""
  alt = f"Rows of test examples: {', '.join(name for name, _ in lines)}"
  features = lines[0][1].shape[1:]
  if are_images(features):
    images = [(name, as_images(values, seen)) for name, values in lines]
    return pictures.embed(pictures.strips(images), caption, alt, wide=True)
  few = [
    (name, values[:_NUM_PROFILES].reshape(-1, math.prod(features)))
    for name, values in lines
  ]
  return pictures.embed(pictures.profiles(few), caption, alt, wide=True)


def _corrupt(
  x: np.ndarray, corruption: str, level: float, seen: Examples
) -> np.ndarray:
  """Noise as in training, where the data may be standardized."""
  statistics = seen.dataset.standardization
  clean = x if statistics is None else statistics.apply(x)
  key = jax.random.key(0)
  noisy = np.asarray(CORRUPTIONS[corruption](key, jnp.asarray(clean), level))
  return to_raw(seen.dataset, noisy)


def pca_codes(seen: Examples) -> Picture | None:
  """The test examples in the plane of PCA's first two components."""
  test = to_float(seen.dataset.test[seen.indices]).reshape(len(seen.x), -1)
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
    caption += ", colored and marked by class"
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


def _over_strength(
  shown: Shown, rows: Rows, metric: str, title: str
) -> Picture | None:
  name = shown.strength
  if name is None:
    return None
  size = shown.best["latent_size"]
  own = [row for row in rows if row["latent_size"] == size]
  values = {
    value: summary
    for (value,), summary in trials.means(own, metric, (name,)).items()
  }
  if not values:
    return None
  caption = (
    f"{metric}: {METRICS[metric].meaning}; for each {name}, at latent size"
    f" {size}: mean and standard deviation"
  )
  points = [(v, values[v]) for v in trials.ordered(values)]
  return pictures.embed(
    pictures.errors(name, title, points), f"{caption}.", f"Line plot. {caption}"
  )


def _filters(best: Trained) -> Picture | None:
  spec = best.spec
  if spec.network != "mlp" or not are_images(spec.features):
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
    pictures.tiles(pictures.rectangle(images, 8), cmap="PuOr"),
    f"The {len(images)} first-layer filters of largest norm, each to its own"
    " scale; 0 is "
    + ("gray." if filters.ndim == 4 else "white, purple above, orange below."),
    "Images of the weights of first-layer units",
  )

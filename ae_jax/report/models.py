"""What one objective's trained models do: the pictures of its section."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import iterative_pca, over_seeds, pca
from ae_jax.corruptions import CORRUPTIONS
from ae_jax.data import are_images, to_float
from ae_jax.metrics import selection
from ae_jax.metrics.columns import METRICS
from ae_jax.report import generated, pictures, trials
from ae_jax.report.blocks import Picture
from ae_jax.report.examples import (
  ShownExamples,
  as_images,
  by_pca,
  encode,
  reconstruct,
  to_raw,
)
from ae_jax.report.trials import TextRows
from ae_jax.run_folder.results import TextRow
from ae_jax.trained import Trained

_NUM_PROFILES = 4  # examples shown where they are no images
_NUM_FILTERS = 32
_NUM_STRENGTHS = 6


class SelectedTrials(NamedTuple):
  """The trials of one objective that the page shows.

  Attributes:
    best: by the chosen metric.
    plane: the best of those with two code units, or None.
    noisy: one that was trained on noisy inputs, the best if it was, or None.
    content: the best whose code has a part for content, or None.
    strength: the name of the hyper-parameter that is swept, or None.
    strength_sweep: trials like the best one at other strengths, rising.
  """

  best: TextRow
  plane: TextRow | None
  noisy: TextRow | None
  content: TextRow | None
  strength: str | None
  strength_sweep: list[TextRow]

  @property
  def ids(self) -> set[str]:
    """Of the trials to load."""
    rows = (
      self.best,
      self.plane,
      self.noisy,
      self.content,
      *self.strength_sweep,
    )
    return {row["id"] for row in rows if row is not None}


def select_trials(rows: TextRows, by: str) -> SelectedTrials | None:
  """Picks the trials to show of one objective; None where all diverged."""
  best = selection.best(rows, by)
  if best is None:
    return None
  strength = trials.strength(rows)
  strength_sweep = [best]
  if strength is not None:
    others = [name for name in over_seeds.settings(rows) if name != strength]
    peers = {
      row[strength]: row
      for row in trials.ok(rows)
      if all(row[name] == best[name] for name in others)
    }
    strength_sweep = [peers[value] for value in trials.ordered(peers)]
    step = -(-len(strength_sweep) // _NUM_STRENGTHS)
    strength_sweep = strength_sweep[::step]
  plane = [row for row in rows if row["latent_size"] == "2"]
  return SelectedTrials(
    best,
    selection.best(plane, by),
    _trained_on_noise(best, rows, by),
    selection.best([r for r in rows if selection.number(r, "content")], by),
    strength,
    strength_sweep,
  )


def _trained_on_noise(best: TextRow, rows: TextRows, by: str) -> TextRow | None:
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


def draw(
  selected: SelectedTrials,
  rows: TextRows,
  models: Mapping[str, Trained],
  examples: ShownExamples,
  pca_plane: Picture | None,
) -> list[Picture]:
  """All pictures of one objective.

  Args:
    selected: from `select_trials`.
    rows: of the objective.
    models: id -> model, for `selected.ids` at least.
    examples: from `select_examples`.
    pca_plane: from `pca_codes`.
  """
  best = models[selected.best["id"]]
  plane = models[selected.plane["id"]] if selected.plane else None
  codes = {
    row["id"]: encode(models[row["id"]], examples.x, examples.label)
    for row in selected.strength_sweep
  }
  z = codes.get(selected.best["id"])
  z = encode(best, examples.x, examples.label) if z is None else z
  made = [
    _reconstructions(best, examples),
    _restorations(selected, models, examples),
    _codes(best, plane, z, examples),
    pca_plane,
    _values(selected, codes),
    _over_strength(
      selected,
      rows,
      "validation_relative_jacobian_norm",
      "relative norm of df/dx",
    ),
    _over_strength(selected, rows, "mig", "mutual information gap"),
    _over_strength(selected, rows, "udr", "unsupervised ranking"),
    _filters(best),
  ]
  if best.spec.code == "gaussian" and are_images(best.spec.features):
    if not best.needs_class:
      made.append(generated.samples(best, examples))
    made.append(generated.traversal(best, z, examples))
    if best.classes:
      made.append(generated.by_class(best, examples))
    if selected.content is not None:
      made.append(generated.swaps(models[selected.content["id"]], examples))
    if (
      plane is not None
      and plane.spec.code == "gaussian"
      and not plane.needs_class
    ):
      made.append(generated.manifold(plane, examples))
  return [picture for picture in made if picture is not None]


def _reconstructions(best: Trained, examples: ShownExamples) -> Picture:
  size, shown = best.spec.latent_size, examples.shown
  label = None if examples.label is None else examples.label[shown]
  components = min(size, len(examples.baseline.components))
  return _rows(
    [
      ("original", examples.x[shown]),
      ("reconstructed", reconstruct(best, examples.x[shown], label)),
      ("by PCA", by_pca(examples, size)),
    ],
    "Test examples and their reconstructions. Number of code units:"
    f" {size}, of PCA's components: {components}, of features:"
    f" {examples.baseline.mean.size}.",
    examples,
  )


def _restorations(
  selected: SelectedTrials,
  models: Mapping[str, Trained],
  examples: ShownExamples,
) -> Picture | None:
  row = selected.noisy
  if row is None:
    return None
  x = examples.x[examples.shown]
  level = selection.number(row, "noise") or 0.0
  noisy = _corrupt(x, row["corruption"], level, examples)
  return _rows(
    [
      ("original", x),
      ("noisy", noisy),
      ("restored", models[row["id"]].reconstruct(noisy)),
    ],
    f"Test examples with {row['corruption'].replace('_', ' ')} noise of level"
    f" {level:g}, as in the training of trial {row['id']}, and its output.",
    examples,
  )


def _rows(
  lines: list[tuple[str, np.ndarray]], caption: str, examples: ShownExamples
) -> Picture:
  """The same examples in several versions, a row for each."""
  alt = f"TextRows of test examples: {', '.join(name for name, _ in lines)}"
  features = lines[0][1].shape[1:]
  if are_images(features):
    images = [(name, as_images(values, examples)) for name, values in lines]
    return pictures.embed(pictures.strips(images), caption, alt, wide=True)
  few = [
    (name, values[:_NUM_PROFILES].reshape(-1, math.prod(features)))
    for name, values in lines
  ]
  return pictures.embed(pictures.profiles(few), caption, alt, wide=True)


def _corrupt(
  x: np.ndarray, corruption: str, level: float, examples: ShownExamples
) -> np.ndarray:
  """Noise as in training, where the data may be standardized."""
  statistics = examples.dataset.standardization
  clean = x if statistics is None else statistics.apply(x)
  key = jax.random.key(0)
  noisy = np.asarray(CORRUPTIONS[corruption](key, jnp.asarray(clean), level))
  if examples.dataset.missing:
    noisy = np.where(np.isnan(clean), np.nan, noisy)
  return to_raw(examples.dataset, noisy)


def pca_codes(examples: ShownExamples) -> Picture | None:
  """The test examples in the plane of PCA's first two components."""
  test = to_float(examples.dataset.test[examples.indices]).reshape(
    len(examples.x), -1
  )
  if examples.dataset.missing:
    number = min(2, len(examples.baseline.components))
    z = iterative_pca.codes(examples.baseline, test, number)
  else:
    z = pca.transform(examples.baseline, test, 2)
  return _plane(z, "PCA of the data: the first two components", examples)


def _codes(
  best: Trained, plane: Trained | None, z: np.ndarray, examples: ShownExamples
) -> Picture | None:
  if plane is not None:
    if plane is not best:
      z = encode(plane, examples.x, examples.label)
    return _plane(z, f"The two code units of trial {plane.row['id']}", examples)
  if len(z) < 2:
    return None
  z = pca.transform(pca.fit(z), z, 2)
  return _plane(z, "The first two principal components of the codes", examples)


def _plane(
  z: np.ndarray, caption: str, examples: ShownExamples
) -> Picture | None:
  if z.shape[1] < 2:
    return None
  caption += f"; {len(z)} test examples"
  if examples.labels is not None:
    caption += (
      ", colored and marked by class"
      if examples.are_classes
      else ", colored by the rank of their labels, dark the least"
    )
  return pictures.embed(
    pictures.scatter(z, examples.labels, examples.are_classes),
    f"{caption}.",
    f"Scatter plot. {caption}",
  )


def _values(
  selected: SelectedTrials, codes: Mapping[str, np.ndarray]
) -> Picture:
  name = selected.strength
  values = [
    (row[name] if name else "", codes[row["id"]])
    for row in selected.strength_sweep
  ]
  caption = "How often code units take each value on test examples"
  if len(values) > 1:
    caption += f", for each {name}"
  return pictures.embed(
    pictures.histograms(values), f"{caption}.", f"Histogram. {caption}"
  )


def _over_strength(
  selected: SelectedTrials, rows: TextRows, metric: str, title: str
) -> Picture | None:
  name = selected.strength
  if name is None:
    return None
  size = selected.best["latent_size"]
  own = [row for row in rows if row["latent_size"] == size]
  values = {
    value: summary
    for (value,), summary in over_seeds.means(own, metric, (name,)).items()
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
  if spec.network != "mlp" or spec.missing or not are_images(spec.features):
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

"""What a VAE makes of codes that no example has."""

from statistics import NormalDist

import numpy as np

from ae_jax.codes import content_units
from ae_jax.report import pictures
from ae_jax.report.blocks import Picture
from ae_jax.report.examples import ShownExamples, as_images, decode
from ae_jax.trained import Trained

_NUM_SAMPLES = 36
_NUM_TRAVERSED = 8  # units
_STEPS = np.linspace(-3, 3, 9)  # of a traversal, in standard deviations
_MANIFOLD = 14  # images along each side
_NUM_SWAPPED = 8  # examples
_MAX_CLASSES = 12


def samples(best: Trained, examples: ShownExamples) -> Picture:
  """Images decoded from draws of the prior."""
  images = as_images(best.sample(_NUM_SAMPLES), examples)
  return pictures.embed(
    pictures.tiles(pictures.rectangle(images, 6)),
    "Samples: means of p(x|z) at codes from the prior p(z).",
    "A grid of images sampled from the prior",
  )


def by_class(best: Trained, examples: ShownExamples) -> Picture:
  """Images decoded from the same draws of the prior for each class."""
  z = best.sample_codes(_NUM_SWAPPED)
  rows = best.classes[:_MAX_CLASSES]
  decoded = [as_images(best.condition(i).decode(z), examples) for i in rows]
  return pictures.embed(
    pictures.tiles(np.stack(decoded)),
    "Samples of each class: a row is a class in the order of the labels, a"
    " column one code from the prior.",
    "Rows of images, each sampled from one class",
  )


def traversal(best: Trained, z: np.ndarray, examples: ShownExamples) -> Picture:
  """Images decoded while one unit at a time moves away from a code of `z`."""
  units = np.argsort(-np.var(z, axis=0))[:_NUM_TRAVERSED]
  steps = np.tile(z[examples.shown[0]], (len(units), len(_STEPS), 1))
  for i, unit in enumerate(units):
    steps[i, :, unit] = _STEPS
  codes, label = steps.reshape(-1, z.shape[1]), None
  if examples.label is not None:
    label = np.full(len(codes), examples.label[examples.shown[0]])
  images = as_images(decode(best, codes, label), examples)
  return pictures.embed(
    pictures.tiles(images.reshape(*steps.shape[:2], *images.shape[1:])),
    f"A latent traversal: each row moves one unit from {_STEPS[0]:g} to"
    f" {_STEPS[-1]:g}, from the unit of largest variance down; the others stay"
    " at the code of one test example"
    + (", and the class at its class." if best.classes else "."),
    "Rows of images that change as one code unit moves",
  )


def swaps(best: Trained, examples: ShownExamples) -> Picture:
  """Images of one example's content in another's style."""
  content = np.asarray(
    content_units(best.row["content"], best.model.latent_mask)
  )
  x = examples.x[examples.shown[:_NUM_SWAPPED]]
  z = best.encode(x)
  mixed = np.where(content, z[:, None], z[None])
  decoded = best.decode(mixed.reshape(-1, z.shape[1]))
  images = as_images(np.concatenate([x, decoded]), examples)
  originals, swapped = images[: len(x)], images[len(x) :]
  swapped = swapped.reshape(len(x), len(x), *originals.shape[1:])
  corner = np.ones_like(originals[:1])
  grid = np.concatenate(
    [
      np.concatenate([corner, originals])[None],
      np.concatenate([originals[:, None], swapped], axis=1),
    ]
  )
  return pictures.embed(
    pictures.tiles(grid),
    f"A swap by trial {best.row['id']}: the content of the"
    f" example at the left (the first {content.sum()} of {len(content)} units)"
    " in the style of the one above (the others).",
    "A grid of images, each of one example's content in another's style",
  )


def manifold(plane: Trained, examples: ShownExamples) -> Picture:
  """Images decoded over the plane of a model with two code units."""
  places = np.linspace(0.03, 0.97, _MANIFOLD)
  quantiles = [NormalDist().inv_cdf(p) for p in places.tolist()]
  z = np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1)
  decoded = plane.decode(z.reshape(-1, 2).astype(np.float32))
  return pictures.embed(
    pictures.tiles(pictures.rectangle(as_images(decoded, examples), _MANIFOLD)),
    f"The manifold of trial {plane.row['id']}: decoded at a grid of quantiles"
    " of N(0, I), the first unit to the right, the second upwards.",
    "A square grid of images decoded over the plane of codes",
  )

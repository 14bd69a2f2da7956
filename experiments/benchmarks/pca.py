"""PCA: ours beside scikit-learn's."""

from collections.abc import Callable, Iterator

import numpy as np
from sklearn.decomposition import PCA

from ae_jax import pca
from experiments.benchmarks.section import (
  BenchmarkSection,
  Measurement,
  Options,
)
from experiments.benchmarks.timing import Work, interleaved


def _rows(options: Options) -> Iterator[Measurement]:
  n, d = (300, 20) if options.quick else (60_000, 784)
  rng = np.random.default_rng(0)
  x = rng.standard_normal((n, d)) * np.linspace(1, 2, d)
  theirs = PCA(svd_solver="covariance_eigh")
  np.testing.assert_allclose(  # equal work
    pca.fit(x).explained_variance, theirs.fit(x).explained_variance_, rtol=1e-9
  )
  fits = interleaved(
    {
      "ae_jax.pca": _repeated(lambda: pca.fit(x)),
      "sklearn": _repeated(lambda: theirs.fit(x)),
    },
    repeats=options.repeats,
    seconds=options.seconds,
  )
  for name, seconds in fits.items():
    yield {
      "fit": name,
      "data": f"{n} x {d} {x.dtype}",
      "seconds": seconds,
      "times_sklearn": seconds.over(fits["sklearn"]),
    }


def _repeated(fit: Callable[[], object]) -> Work:
  def steps(count: int) -> None:
    for _ in range(count):
      fit()

  return Work(steps)


SECTION = BenchmarkSection(
  "PCA",
  "A fit with all components; scikit-learn with `covariance_eigh`, on the same"
  " array.",
  _rows,
  lambda options: 2,
)

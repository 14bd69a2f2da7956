"""What a contractive penalty costs, by the way it is computed."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from ae_jax.types import Array, Autoencoder, Key, Params, Terms
from experiments.benchmarks.problems import QUICK, Problem
from experiments.benchmarks.program import prepare
from experiments.benchmarks.section import (
  BenchmarkSection,
  Measurement,
  Options,
  attempt,
)
from experiments.benchmarks.timing import interleaved

_PROBLEMS = {
  "784-128-16": Problem((784,), {"widths": (128,), "latent_size": 16}),
  "784-512-256-32": Problem((784,), {"widths": (512, 256), "latent_size": 32}),
}


def by_jacobian(jacobian: Callable[..., Any]) -> Callable[..., Any]:
  """The contractive objective by a Jacobian of `jax`, as the definition has it.

  Args:
    jacobian: `jax.jacfwd` or `jax.jacrev`.
  """

  def objective(
    model: Autoencoder,
    params: Params,
    key: Key,
    batch: Array,
    *,
    strength: float = 0.1,
  ) -> tuple[Array, Terms]:
    del key
    derivative = jacobian(functools.partial(model.encode, params))
    norms = jax.vmap(lambda x: jnp.sum(derivative(x) ** 2))(batch)
    decoded = model.decode(params, model.encode(params, batch))
    reconstruction = jnp.mean(model.nll(batch, decoded))
    return reconstruction + strength * jnp.mean(norms), {}

  return objective


_FORMS: dict[str, dict[str, Any]] = {
  "no penalty": {"objective": "autoencoder"},
  "contractive": {"objective": "contractive"},
  "hutchinson": {"objective": "contractive", "estimator": "hutchinson"},
  "subset": {"objective": "contractive", "estimator": "subset"},
  "jax.jacrev": {"objective": by_jacobian(jax.jacrev)},
  "jax.jacfwd": {"objective": by_jacobian(jax.jacfwd)},
}


def _rows(options: Options) -> Iterator[Measurement]:
  for name, problem in (QUICK if options.quick else _PROBLEMS).items():
    measure = functools.partial(_of_network, name, problem, options)
    yield from attempt({"network": name}, measure)


def _of_network(
  name: str, problem: Problem, options: Options
) -> Iterator[Measurement]:
  trainings = {
    form: prepare(problem.points(1, **settings), problem.input_pipeline())
    for form, settings in _FORMS.items()
  }
  steps = interleaved(
    {form: training.work for form, training in trainings.items()},
    repeats=options.repeats,
    seconds=options.seconds,
  )
  for form, step in steps.items():
    yield {
      "network": name,
      "penalty": form,
      "ms_per_step": step.times(1e3),
      "times_no_penalty": step.over(steps["no penalty"]),
      "temporaries_mib": trainings[form].temporary_bytes / 2**20,
    }


def _num_rows(options: Options) -> int:
  return len(_FORMS) * len(QUICK if options.quick else _PROBLEMS)


SECTION = BenchmarkSection(
  "Contractive forms",
  "One trial, batch 128. `contractive` is the objective as it is by default,"
  " exact; `hutchinson` and `subset` are its estimators with one sample;"
  " `jax.jacrev` and `jax.jacfwd` compute the same penalty from the whole"
  " Jacobian. Temporaries by XLA's count.",
  _rows,
  _num_rows,
)

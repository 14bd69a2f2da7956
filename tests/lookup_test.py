"""A changed loss is another loss, wherever it was written."""

import functools
import importlib
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax.declarations import objective
from ae_jax.objectives import OBJECTIVES
from ae_jax.source import source_digest

PLAIN = """
def loss(model, params, key, batch):
  return {} * batch.{}(), {{}}
"""


def written(factor, function):
  """As in a notebook or a shell: there is no file."""
  names = {}
  exec(compile(PLAIN.format(factor, function), "<cell>", "exec"), names)
  return names["loss"]


def test_numbers_and_names_count_where_there_is_no_file():
  digests = {
    source_digest([written(factor, function)])
    for factor in (2.0, 50.0)
    for function in ("sum", "mean")
  }
  assert len(digests) == 4
  assert source_digest([written(2.0, "sum")]) in digests


def test_a_decorator_and_the_loss_inside_both_count():
  def decorated(loss):
    @functools.wraps(loss)
    def wrapper(*args):
      return loss(*args)

    return wrapper

  one, other = written(1.0, "sum"), written(2.0, "sum")
  assert source_digest([decorated(one)]) == source_digest([decorated(one)])
  assert source_digest([decorated(one)]) != source_digest([one])
  assert source_digest([decorated(one)]) != source_digest([decorated(other)])


def test_losses_of_a_factory_differ_by_what_they_close_over():
  def make(weight):
    def loss(model, params, key, batch):
      return weight * batch.sum(), {}

    return loss

  assert source_digest([make(1.0)]) != source_digest([make(2.0)])
  assert source_digest([make(1.0)]) == source_digest([make(1.0)])


def test_what_makes_its_parameters_counts_too():
  def init(text):
    names = {}
    exec(compile(f"def init(*_, **__): return {text}", "<cell>", "exec"), names)
    return names["init"]

  losses = [objective(params=init(text))(written(1.0, "sum")) for text in "12"]
  assert source_digest([losses[0]]) != source_digest([losses[1]])


@pytest.mark.parametrize(
  ("one", "other"),
  [
    (1.0, 2.0),
    (np.ones(3), np.zeros(3)),
    (jnp.ones(3), jnp.zeros(3)),
    ([1, (2, "a")], [1, (2, "b")]),
    ({"a": np.ones(1)}, {"a": np.zeros(1)}),
    (written(1.0, "sum"), written(2.0, "sum")),
    (functools.partial(pow, 2), functools.partial(pow, 3)),
  ],
  ids=lambda value: type(value).__name__,
)
def test_what_a_function_is_closed_over_or_bound_to_counts(one, other):
  def closed(value):
    return lambda model, params, key, batch: (value, {})

  def bound(value):
    return functools.partial(closed(0), value)

  for make in (closed, bound):
    assert source_digest([make(one)]) == source_digest([make(one)])
    assert source_digest([make(one)]) != source_digest([make(other)])


def test_what_is_declared_is_declared_once():
  with pytest.raises(ValueError, match="vae is declared already"):
    objective(code="gaussian")(OBJECTIVES["vae"])


def in_cell(text, **names):
  exec(compile(text, "<cell>", "exec"), names)
  return names["loss"]


def test_values_and_functions_that_are_read_by_name_count():
  text = "def loss(*_):\n  return f(K), {}"
  one, other = (in_cell(text, K=k, f=written(1.0, "sum")) for k in (1.0, 2.0))
  assert source_digest([one]) != source_digest([other])
  third = in_cell(text, K=1.0, f=written(1.0, "mean"))
  assert source_digest([one]) != source_digest([third])


def test_two_functions_of_one_file_and_a_changed_helper_count(
  tmp_path, monkeypatch
):
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setattr(sys, "dont_write_bytecode", True)
  (tmp_path / "two_losses.py").write_text(
    "import a_helper\n\ndef one(*_):\n  return a_helper.f(1), {}\n\n"
    "def other(*_):\n  return a_helper.f(2), {}\n"
  )
  digests = set()
  for factor in (1, 2):
    for name in ("two_losses", "a_helper"):
      sys.modules.pop(name, None)
    (tmp_path / "a_helper.py").write_text(f"def f(x):\n  return {factor} * x\n")
    module = importlib.import_module("two_losses")
    digests |= {source_digest([f]) for f in (module.one, module.other)}
  assert len(digests) == 4

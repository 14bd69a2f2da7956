"""A changed loss is another loss, wherever it was written."""

import functools

from ae_jax.declarations import objective
from ae_jax.lookup import source_digest

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


def test_a_decorated_loss_is_the_one_inside():
  def decorated(loss):
    @functools.wraps(loss)
    def wrapper(*args):
      return loss(*args)

    return wrapper

  one, other = written(1.0, "sum"), written(2.0, "sum")
  assert source_digest([decorated(one)]) == source_digest([one])
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

"""Peers of the benchmark do what our program does, or are not timed."""

import contextlib
import sys
import time
import types

import jax
import numpy as np
import pytest

from experiments import benchmarks
from experiments.benchmarks import peers, problems, timing
from experiments.benchmarks.section import Options


def test_a_peer_of_other_work_is_a_row_that_failed(monkeypatch):
  @contextlib.contextmanager
  def all_peers(ours):
    size = sum(leaf[0].size for leaf in jax.tree.leaves(ours.params))
    work = timing.Work(lambda count: time.sleep(1e-4))

    def losses(order):
      return ours.losses(np.repeat(order, 2, axis=0))[:1]

    equal = peers.Peer(1, size, losses, work)
    yield {"other": equal._replace(num_parameters=1), "equal": equal}

  fake = types.SimpleNamespace(all_peers=all_peers)
  name = "experiments.benchmarks.torch_peers"
  monkeypatch.setitem(sys.modules, name, fake)
  monkeypatch.setattr(benchmarks, "torch_peers", fake, raising=False)
  options = Options(problems.QUICK, None, (1,), 1, 0.0, True)
  rows = {row["by"]: row for row in peers.SECTION.rows(options)}
  assert {*rows} == {"ae_jax, 2 trials", "ae_jax", "other", "equal"}
  failed = {by for by, row in rows.items() if "failed" in row}
  assert failed == {"other"}
  assert "other has 1 parameters" in rows["other"]["failed"]


@pytest.fixture(scope="module")
def reference():
  pytest.importorskip("torch")
  pytest.importorskip("pythae")
  rng = np.random.default_rng(0)
  problem = problems.Problem((12,), {"widths": (9, 7), "latent_size": 3})
  data = rng.uniform(size=(300, 12)).astype(np.float32)
  return peers.reference(problem.points(3), data)


def test_peers_do_the_same_work(reference):
  from experiments.benchmarks.torch_peers import all_peers

  with all_peers(reference) as everyone:
    assert {*everyone} == {"torch", "torch.func", "pythae"}
    for peer in everyone.values():
      peer.work.steps(2)  # what is timed; the check is of what follows
  with all_peers(reference) as everyone:
    for name, peer in everyone.items():
      assert peer.num_trials == (3 if name == "torch.func" else 1)
      peers.check_equal_work(name, peer, reference)


@pytest.mark.parametrize("name", ["torch", "torch.func", "pythae"])
@pytest.mark.parametrize("what", ["weight", "rate", "number"])
def test_other_work_is_refused(reference, name, what):
  from experiments.benchmarks.torch_peers import all_peers

  other, ours = reference, reference
  match what:
    case "weight":
      params = jax.tree.map(np.copy, reference.params)
      params["decoder"]["hidden_1"]["bias"][:, 0] += 0.01
      other = reference._replace(params=params)
    case "rate":
      other = reference._replace(learning_rate=2e-3)
    case "number":
      more = reference.params | {"more": np.zeros((3, 1))}
      ours = reference._replace(params=more)
  with (
    all_peers(other) as everyone,
    pytest.raises(peers.UnequalWorkError, match="parameters|loss of"),
  ):
    peers.check_equal_work(name, everyone[name], ours)

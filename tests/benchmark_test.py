"""The benchmark: its files, its mistakes, its counts; nothing by the clock."""

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.image
import numpy as np
import pytest

from ae_jax import grid
from ae_jax.engine.group import group_trainer, stack
from ae_jax.networks import Spec, autoencoder
from ae_jax.objectives import OBJECTIVES
from experiments import benchmark, benchmarks
from experiments.benchmarks import flops, peers, problems, table, timing, trials
from experiments.benchmarks.section import Options, Section, attempt

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
  """The folder that `--quick` fills, and what it printed."""
  folder = tmp_path_factory.mktemp("benchmark")
  done = subprocess.run(
    [
      sys.executable,
      ROOT / "experiments" / "benchmark.py",
      "--quick",
      f"--likelihood={folder}",
    ],
    cwd=folder,
    env={"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    | os.environ
    | {"PYTHONPATH": str(ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return folder, done.stdout


def numbers(value):
  match value:
    case dict():
      for inner in value.values():
        yield from numbers(inner)
    case list():
      for inner in value:
        yield from numbers(inner)
    case int() | float():
      yield value


def test_quick_writes_every_number(quick):
  folder, _ = quick
  record = json.loads((folder / "benchmark.json").read_text())
  assert {"date", "versions", "devices", "git_commit"} <= record.keys()
  assert {*record["sections"]} == {*benchmark.SECTIONS}
  for name, rows in record["sections"].items():
    assert all(0 < number < math.inf for number in numbers(rows)), name
    assert len({frozenset(row) for row in rows}) <= 1, name
  rows = record["sections"]["trials"]
  assert record["complete"]
  assert {row["trials"] for row in rows} == {2}
  assert {
    "compile_s",
    "ms_per_step",
    "ms_per_trial_step",
    "trial_steps_per_s",
    "images_per_s",
    "gflop_per_s",
    "share_of_peak",
    "memory_mib",
  } <= rows[0].keys()
  for row in rows:
    per_trial = row["ms_per_trial_step"]
    assert len(per_trial["repeats"]) == 1
    assert per_trial["min"] <= per_trial["median"] <= per_trial["max"]
    np.testing.assert_allclose(
      row["images_per_s"], 128 * 1e3 / per_trial["median"]
    )
    np.testing.assert_allclose(
      row["share_of_peak"], row["gflop_per_s"] / record["peak_gflop_per_s"]
    )


def test_quick_measures_every_objective(quick):
  folder, _ = quick
  sections = json.loads((folder / "benchmark.json").read_text())["sections"]
  names = [row["objective"] for row in sections["trials"]]
  assert names == [*OBJECTIVES]
  for rows in sections.values():
    assert not [row for row in rows if "failed" in row]


def test_quick_writes_tables_and_a_picture(quick):
  folder, printed = quick
  text = (folder / "benchmark.md").read_text()
  assert text in printed
  for section in benchmark.SECTIONS.values():
    assert f"## {section.title}" in text
  assert f"jax {jax.__version__}" in text
  assert matplotlib.image.imread(folder / "benchmark.png").std() > 0
  assert {p.name for p in folder.iterdir()} == {
    "benchmark.md",
    "benchmark.json",
    "benchmark.png",
  }


def section(*rows):
  """One that gives these rows; calls what is no row, in its place."""

  def measure(options):
    for row in rows:
      yield from [row] if isinstance(row, dict) else row()

  return Section("A title", "A note.", measure, lambda options: len(rows))


def raising(error):
  def measure():
    raise error

  return measure


@pytest.fixture
def measured(tmp_path, monkeypatch):
  """Runs made-up sections -> exit code, the record."""

  def measured(**sections):
    cache = jax.config.jax_enable_compilation_cache
    monkeypatch.setattr(benchmark, "SECTIONS", sections)
    try:
      with pytest.raises(SystemExit) as raised:
        benchmark.main(["benchmark.py", "--quick", f"--likelihood={tmp_path}"])
    finally:
      jax.config.update("jax_enable_compilation_cache", cache)
    record = json.loads((tmp_path / "benchmark.json").read_text())
    return raised.value.code, record

  return measured


def test_a_row_that_raises_is_recorded_and_the_others_go_on(
  measured, tmp_path, capsys
):
  error = RuntimeError("no such\nluck | at all")
  code, record = measured(
    pca=section(
      {"fit": "a", "ms": 1.5},
      lambda: attempt({"fit": "b"}, raising(error)),
      {"fit": "c", "ms": 2.5},
    ),
    data=section({"data": "d"}, raising(error), {"data": "not reached"}),
    loop=section({"trials": 1}),
  )
  assert code == 1
  reason = "RuntimeError: no such luck | at all"
  assert record["complete"]
  assert record["sections"] == {
    "pca": [
      {"fit": "a", "ms": 1.5},
      {"fit": "b", "failed": reason},
      {"fit": "c", "ms": 2.5},
    ],
    "data": [{"data": "d"}, {"failed": reason}],
    "loop": [{"trials": 1}],
  }
  out, err = capsys.readouterr()
  assert "| b |  | RuntimeError: no such luck \\| at all |" in out
  assert "| fit | ms | failed |" in (tmp_path / "benchmark.md").read_text()
  assert "error: 2 of 6 rows failed" in err


def test_an_objective_that_fails_is_a_row_beside_the_others(
  measured, monkeypatch
):
  def prepare(points, pipeline):
    if points[0]["objective"] in ("sparse", "vae"):
      raise ValueError("no")
    return real(points, pipeline)

  real = trials.prepare
  monkeypatch.setattr(trials, "prepare", prepare)
  monkeypatch.setattr(trials, "OBJECTIVES", ("sparse", "autoencoder", "vae"))
  code, record = measured(trials=trials.SECTION)
  assert code == 1
  rows = record["sections"]["trials"]
  assert {row["objective"]: row.get("failed") for row in rows} == {
    "sparse": "ValueError: no",
    "autoencoder": None,
    "vae": "ValueError: no",
  }
  assert rows[1]["share_of_peak"] > 0


@pytest.mark.parametrize(
  ("interrupt", "expected"),
  [
    (raising(KeyboardInterrupt), 130),
    (lambda: signal.raise_signal(signal.SIGTERM) or (), 143),
  ],
)
def test_an_interruption_leaves_what_was_measured(
  measured, tmp_path, capsys, interrupt, expected
):
  before = signal.getsignal(signal.SIGTERM)
  code, record = measured(
    pca=section({"fit": "a"}),
    loop=section({"trials": 1}, interrupt, {"trials": 2}),
  )
  assert code == expected
  assert not record["complete"]
  assert record["sections"] == {"pca": [{"fit": "a"}], "loop": [{"trials": 1}]}
  text = (tmp_path / "benchmark.md").read_text()
  assert "Not complete" in text
  _, err = capsys.readouterr()
  assert "interrupted: what was measured is in" in err
  assert str(tmp_path / "benchmark.json") in err
  assert signal.getsignal(signal.SIGTERM) == before


MISTAKES = {
  "unknown section": (
    ["--sections=trails"],
    "unknown sections 'trails'; allowed: trials, contractive",
  ),
  "unknown network": (["--networks=784"], "'784'; allowed: digits-64-64-8"),
  "unknown objective": (["--objectives=vea"], "'vea'; allowed: autoencoder"),
  "nothing to do": (
    ["--objectives=layerwise", "--networks=conv-16-32-16"],
    "none of --objectives fits any of --networks",
  ),
  "unknown flag": (["--peer"], "peer"),
  "no trials": (["--trials=0"], "--trials must be numbers"),
  "no repeats": (["--repeats=0"], "repeats"),
  "stray argument": (["trials"], "unexpected argument 'trials'"),
  "unwritable": (["--likelihood=/proc/ae_jax"], "cannot write"),
  "unwritable, and there": (["--likelihood=/proc"], "cannot write"),
  "empty output": (["--likelihood="], "--output is empty"),
  "no peers": (["--peers"], "torch and pythae.*EXTRAS=peers ./launch.sh"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
  mistake, tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
  arguments, message = MISTAKES[mistake]
  with pytest.raises(SystemExit) as raised:
    benchmark.main(["benchmark.py", *arguments])
  assert raised.value.code == 2
  _, err = capsys.readouterr()
  assert err.count("\n") == 1
  assert err.startswith("error: ")
  assert re.search(message, err), err
  assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("widths", [(512, 256), (128,), ()])
def test_operations_are_those_that_xla_counts(widths):
  spec = Spec((784,), 32, widths=widths)
  model = autoencoder(spec)
  params = jax.eval_shape(model.init, jax.random.key(0))
  x = jnp.zeros((128, 784))

  def reconstruct(params, x):
    return model.decode(params, model.encode(params, x))

  def loss(params, x):
    return jnp.mean(model.nll(x, reconstruct(params, x)))

  weights = sum(p.size for p in jax.tree.leaves(params) if p.ndim == 2)
  forward = flops.xla_count(jax.jit(reconstruct), params, x)
  step = flops.xla_count(jax.jit(jax.grad(loss)), params, x)
  # XLA also counts biases, activations and the loss: a few operations each
  # unit, where a product has two for each of its inputs.
  np.testing.assert_allclose(2 * 128 * weights, forward, rtol=0.04)
  np.testing.assert_allclose(
    flops.of_matrix_products(params, 128), step, rtol=0.04
  )


@pytest.mark.parametrize(
  "settings",
  [{"network": "conv"}, *({"objective": name} for name in OBJECTIVES)],
)
def test_every_trial_has_a_count(settings):
  (trial,) = grid.resolve([{"batch_size": 16, **settings}])
  data = np.zeros((20, 8, 8), np.float32)
  one = group_trainer([trial], data.shape[1:], len(data))
  key, hyper = jax.tree.map(lambda x: x[0], stack([trial]))
  params = one.init(key, hyper).params
  count = flops.of_step(trial, data)
  assert count > 16 * sum(p.size for p in jax.tree.leaves(params))


def test_labels_and_pairs_count_as_what_they_are():
  problem = problems.QUICK["64-16-4"]

  def count(objective):
    (trial,) = grid.resolve(problem.points(1, objective=objective))
    return flops.of_step(trial, problem.data())

  assert 1 < count("conditional_vae") / count("vae") < 1.5
  for of_pairs in ("ada_gvae", "gvae"):
    assert 2 < count(of_pairs) / count("vae") < 2.5


@pytest.mark.parametrize("name", ["784-32-16", "conv-16-32-16"])
def test_the_labels_of_made_up_images_feed_what_needs_them(name):
  problem = problems.PROBLEMS[name]
  of_pairs = problem.input_pipeline().with_supervision("class").train
  labels = problem.dataset().train_labels
  assert {*labels} == {*range(10)}
  np.testing.assert_array_equal(
    labels[of_pairs.partners], np.broadcast_to(labels[:, None], (12_800, 16))
  )


def test_a_ratio_is_taken_within_a_round():
  slow, fast = timing.Spread((2.0, 20.0, 4.0)), timing.Spread((1.0, 10.0, 1.0))
  assert slow.over(fast).median == 2.0
  assert slow.times(1e3).repeats == (2e3, 2e4, 4e3)


def test_works_take_turns_in_whole_units():
  done = []

  def work(name, unit):
    return timing.Work(lambda count: done.append((name, count)), unit)

  works = {"a": work("a", 3), "b": work("b", 1000)}
  spreads = timing.interleaved(works, repeats=3, seconds=0.0)
  assert {name: len(s.repeats) for name, s in spreads.items()} == {
    "a": 3,
    "b": 3,
  }
  assert done[-6:] == [("a", 3), ("b", 1)] * 3


def test_a_table_shows_medians_and_what_is_missing():
  rows = [
    {"network": "a", "ms_per_step": timing.Spread((1.0, 3.0, 2.0))},
    {"network": "b", "ms_per_step": 1234.5, "memory_mib": 0.5},
  ]
  assert table.markdown(rows).splitlines() == [
    "| network | ms per step | memory MiB |",
    "| --- | ---: | ---: |",
    "| a | 2 [1-3] |  |",
    "| b | 1,234 | 0.5 |",
  ]


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

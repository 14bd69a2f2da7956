"""A metric of a user: columns with unit and direction, vmapped over trials."""

import json
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import own_parts
import pytest
from small_sweeps import DIGITS, LABELED, SHORT, TEST

import ae_jax
from ae_jax import grid
from ae_jax.metrics.registry import OWN_GROUPS, available_groups, metric_groups
from ae_jax.types import UsageError

NAME = "own_parts:spread"
ROOT = Path(__file__).parent.parent


def sweep(metrics, **options):
  points = [SHORT | p for p in grid.product(latent_size=[2, 5], seed=[0, 1])]
  return ae_jax.run_sweep(
    points, LABELED, metrics=metrics, progress=False, **options
  )


def test_each_trial_has_what_the_function_gives_alone():
  results = sweep(["reconstruction", own_parts.spread])
  for trained in results:
    z = trained.encode(TEST)
    np.testing.assert_allclose(
      trained.row["code_range"], z.max() - z.min(), rtol=1e-5
    )
    norms = np.linalg.norm(z, axis=1)
    np.testing.assert_allclose(
      trained.row["code_norm"], norms.mean(), rtol=1e-5
    )
  best = results.best("code_range")
  assert best.row["code_range"] == max(r["code_range"] for r in results.rows)
  with pytest.raises(UsageError, match="neither more nor less code_norm"):
    results.best("code_norm")


def test_it_is_added_to_a_finished_run_and_known_without_its_module(tmp_path):
  folder = tmp_path / "run"
  first = sweep(("reconstruction",), folder=folder)
  assert "code_range" not in first.rows[0]
  results = ae_jax.evaluate(folder, [NAME], progress=False)
  values = [row["code_range"] for row in results.rows]
  assert len({*values}) == 4
  results.report("code_range")
  code = (
    "import sys, ae_jax\n"
    "from ae_jax.run_folder.dataset import dataset_of\n"
    "from ae_jax import report\n"
    "from pathlib import Path\n"
    "best = ae_jax.load(sys.argv[1], by='code_range')\n"
    "print(best.row['code_range'])\n"
    "folder = Path(sys.argv[1])\n"
    "report.write(folder, dataset_of(folder), by='code_range')\n"
    "assert 'own_parts' not in sys.modules\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, folder],
    capture_output=True,
    text=True,
    cwd=ROOT,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert float(done.stdout) == pytest.approx(max(values))
  page = (folder / "report.html").read_text()
  assert "The metric own_parts:spread." in page
  assert (
    "code_range: largest minus smallest activation (code, higher is" in page
  )


def written(module, factor):
  return f"""
import jax.numpy as jnp
import ae_jax

@ae_jax.metric(doubled=("code", "", "a number"))
def {module}(model, params, data):
  return {{"doubled": jnp.float32({factor})}}
"""


def test_a_changed_metric_is_measured_again(tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(tmp_path)
  file = tmp_path / "changing_metric.py"
  for factor in (1, 2):
    file.write_text(written("doubled", factor))
    sys.modules.pop("changing_metric", None)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    results = sweep(["changing_metric:doubled"], folder=tmp_path / "run")
    sys.dont_write_bytecode = before
    assert [row["doubled"] for row in results.rows] == [factor] * 4


def test_it_is_no_default_of_later_sweeps():
  name = metric_groups([own_parts.spread])[-1]
  assert name.startswith(f"{NAME}@")
  assert name not in available_groups()


def of(columns, result):
  @ae_jax.metric(**columns)
  def function(model, params, data):
    return result

  return function


def test_two_metrics_of_one_column_are_told():
  def first(model, params, data):
    return {"same": jnp.float32(1)}

  def second(model, params, data):
    return {"same": jnp.float32(2)}

  declare = {"same": ("", "lower", "a number")}
  metrics = [ae_jax.metric(**declare)(f) for f in (first, second)]
  with pytest.raises(UsageError, match="both have the column 'same'"):
    sweep(metrics)


def test_metrics_of_a_factory_are_told_apart():
  def make(values):
    @ae_jax.metric(made=("", "", "a number"))
    def of_factory(model, params, data):
      return {"made": jnp.sum(jnp.asarray(values))}

    return of_factory

  for values in (np.ones(1), np.ones(7)):
    assert sweep([make(values)]).rows[0]["made"] == len(values)


ONE = {"one": ("share", "higher", "a share")}


@pytest.mark.parametrize(
  ("metric", "message"),
  [
    ("own_parts:blobs", "is no metric: decorate the function"),
    ("own_parts:spred", "cannot load metric 'own_parts:spred'"),
    ("spread", "unknown metrics 'spread'; allowed: reconstruction"),
    (of(ONE, {"two": jnp.float32(1)}), "declares one; it returns two"),
    (of(ONE, jnp.ones(3)), "must return a dict of scalars"),
    (of({"id": ("", "", "")}, {}), "column 'id' needs a name that"),
    (of({"loss": ("", "", "")}, {}), "column 'loss' needs a name that"),
    (of({"mig": ("", "", "")}, {}), "column 'mig' needs a name that is no"),
    (of({"seed": ("", "", "")}, {}), "column 'seed' needs a name that"),
  ],
)  # fmt: skip
def test_a_mistake_is_one_line_before_any_training(metric, message):
  with pytest.raises(UsageError, match=message):
    sweep([metric])


def test_a_column_that_is_a_term_of_a_loss_is_told():
  metric = of({"reconstruction": ("", "", "")}, {})
  with pytest.raises(UsageError, match="names a term 'reconstruction'"):
    sweep([metric])


def test_a_direction_that_is_none_is_told_where_it_stands():
  with pytest.raises(ValueError, match='give "lower", "higher" or ""'):
    ae_jax.metric(one=("share", "more", "a share"))
  with pytest.raises(ValueError, match="declares the columns"):
    ae_jax.metric()


@pytest.mark.parametrize(
  "content",
  [
    "{",
    "[]",
    '{"a:b": {"mig": ["", "lower", ""]}}',
    '{"a:b": {"x": ["", "worse", ""]}}',
    '{"a:b": {"x": ["", "lower"]}}',
    '{"a:b": {"x": [1, "lower", ""]}}',
    json.dumps({"a:b": {"x": ["u" * 400, "lower", ""]}}),
    json.dumps({"ab": {"x": ["u", "lower", ""]}}),
  ],
)
def test_damaged_columns_are_one_line(tmp_path, content):
  folder = tmp_path / "run"
  sweep((), folder=folder)
  before = dict(OWN_GROUPS)
  (folder / "metrics.json").write_text(content)
  with pytest.raises(UsageError, match=r"metrics.json|column 'mig'"):
    ae_jax.load(folder)
  assert before == OWN_GROUPS


def test_bytes_are_as_they_are():
  x = (DIGITS.reshape(300, 64) * 255).astype(np.uint8)
  (trained,) = ae_jax.run_sweep(
    [SHORT], x, metrics=[own_parts.spread], progress=False
  )
  dataset = ae_jax.data.from_arrays(x)
  np.testing.assert_allclose(
    trained.row["code_norm"],
    np.linalg.norm(trained.encode(dataset.test), axis=1).mean(),
    rtol=1e-5,
  )

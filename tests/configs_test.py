"""Every shipped config: each objective has a place, and each one runs."""

from pathlib import Path

import numpy as np
import pytest
from shell import call, rows_of, without_page

from ae_jax.cli import flags
from ae_jax.cli import sweep as cli_sweep
from ae_jax.objectives import OBJECTIVES
from experiments import sweep

CONFIGS = sorted(path.name for path in sweep.CONFIGS.glob("[!_]*.py"))


def parse(name):
  return flags.parse(["x", f"--config={name}"], (), sweep.CONFIGS)


def test_every_objective_has_a_place_in_a_config():
  swept = set()
  for name in CONFIGS:
    swept |= {*parse(name).axes["objective"]}
  assert swept == {*OBJECTIVES}


IN_FEW = {"pairs": ("class",), "k": (2.0,)}  # of two units


def few(axes):
  """The axes of one trial an objective, as the command line takes them."""
  kept = {"seed": (0,), "latent_size": (2,)}
  for key, values in axes.items():
    own = values if isinstance(values, dict) else {"": values}
    for name, all_values in own.items():
      axis = f"{key}.{name}".rstrip(".")
      if axis not in (*kept, "objective"):
        kept[axis] = IN_FEW.get(name, (all_values[-1],))
  return [f"--config.sweep.{key}={values!r}" for key, values in kept.items()]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  """Images, for the configs' data would take too long, and labels."""
  folder = tmp_path_factory.mktemp("data")
  x = np.random.default_rng(0).uniform(size=(20, 6, 6)).astype(np.float32)
  np.save(folder / "x.npy", x)
  np.save(folder / "labels.npy", np.arange(20) % 3)
  return folder


def check_runs(name, data, workdir, *arguments):
  axes = parse(name).axes
  code, _, err = call(
    sweep.main,
    f"--config={name}",
    f"--workdir={workdir}",
    f"--config.data.path={data / 'x.npy'}",
    f"--config.data.labels_path={data / 'labels.npy'}",
    "--config.fixed.num_epochs=1",
    *few(axes),
    *arguments,
  )
  assert code == 0, err
  rows = rows_of(workdir)
  assert {row["status"] for row in rows} == {"ok"}
  if not any("sweep.objective" in argument for argument in arguments):
    assert {row["objective"] for row in rows} == {*axes["objective"]}
  return rows


def check_is_prepared(name, data, workdir):
  """All objectives are checked, with the networks of the config."""
  prepared = cli_sweep.prepare(
    [
      "program",
      f"--config={name}",
      f"--workdir={workdir}",
      f"--config.data.path={data / 'x.npy'}",
      f"--config.data.labels_path={data / 'labels.npy'}",
      *few(parse(name).axes),
    ],
    sweep.CONFIGS,
  )
  with prepared.folder:
    trials = prepared.plan.trials
  found = {trial.settings["objective"] for trial in trials}
  assert found == {*parse(name).axes["objective"]}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_runs(name, data, tmp_path):
  """All its objectives are checked, the last is trained; see solo_test.

  Pages of all objectives are drawn by the slow test below.
  """
  config = parse(name).config
  small = ["--config.fixed.batch_size=8"]
  if config.fixed.network == "mlp" and "widths" not in parse(name).axes:
    needs_one = "network" in parse(name).axes
    small.append(f"--config.fixed.widths={'4' if needs_one else '()'}")
  objectives = parse(name).axes["objective"]
  if len(objectives) > 1:
    check_is_prepared(name, data, tmp_path / "all")
    small.append(f"--config.sweep.objective={objectives[-1]},")
  with without_page():
    check_runs(name, data, tmp_path / "run", "--config.metrics=", *small)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_runs_with_its_own_networks_and_metrics(
  name, data, tmp_path
):
  rows = check_runs(name, data, tmp_path / "run")
  page = (tmp_path / "run" / "report.html").read_text()
  assert all(row["objective"] in page for row in rows)


def test_configs_are_found_by_name_or_path(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for name in ("vae", "vae.py", "experiments/configs/vae.py"):
    assert parse(name).path == sweep.CONFIGS / "vae.py"
  own = Path("vae.py")
  own.write_text((sweep.CONFIGS / "vae.py").read_text())
  assert parse("vae.py").path == own.absolute()


def test_a_config_that_is_not_there(tmp_path):
  code, _, err = call(sweep.main, "--config=no_such.py")
  assert code == 2
  assert "no_such.py" in err
  assert "digits.py" in err


def test_another_config_may_share_the_folder(data, tmp_path):
  found = []
  for name, objective in (("vae.py", "vae"), ("sparse.py", "sparse")):
    with without_page():
      code, _, err = call(
        sweep.main,
        f"--config={name}",
        f"--workdir={tmp_path / 'run'}",
        f"--config.data.path={data / 'x.npy'}",
        "--config.fixed.num_epochs=1",
        "--config.fixed.widths=()",
        "--config.metrics=",
        *few(parse(name).axes),
        f"--config.sweep.objective={objective},",
      )
    assert code == 0, err
    found.append({row["objective"] for row in rows_of(tmp_path / "run")})
  assert found == [{"vae"}, {"vae", "sparse"}]

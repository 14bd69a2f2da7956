"""The command line: every mistake is one line, every value is taken."""

import re
from pathlib import Path

import numpy as np
import pytest
from shell import call

from ae_jax.cli import flags, sweep
from ae_jax.types import UsageError

MISTAKES = {
  "too many logs": (
    [
      "--config.tensorboard=True",
      f"--config.sweep.seed={tuple(range(300))}",
      "--config.sweep.objective=autoencoder",
      "--config.sweep.latent_size=2",
    ],
    "a log open for each of 300 trials",
  ),
  "unknown metrics": (
    ["--config.metrics=sound"],
    "unknown metrics 'sound'; allowed: reconstruction, features",
  ),
  "unknown field": (
    ["--config.fixed.epochs=3"],
    "epochs.*config.fixed.num_epochs",
  ),
  "fixed hyper-parameter": (
    ["--config.fixed.beta=0.5"],
    "beta.*given in config.sweep",
  ),
  "fixed and swept": (
    ["--config.fixed.latent_size=8"],
    "latent_size is swept: give --config.sweep.latent_size=8",
  ),
  "unknown section": (["--config.nonsense=3"], "nonsense.*config.objective"),
  "unknown flag": (["--workdri=x"], "workdri"),
  "stray argument": (["digits"], "digits"),
  "wrong type": (["--config.fixed.num_epochs=many"], "num_epochs.*many"),
  "wrong type in a sweep": (
    ["--config.sweep.latent_size=(2,'x')"],
    "latent_size must be of type int",
  ),
  "not values": (["--config.sweep.seed=0,,"], r"sweep\.seed.*0,,"),
  "unknown objective": (
    ["--config.objective=autoencodr"],
    "autoencodr.*available: autoencoder, sparse",
  ),
  "unknown module": (["--config.objective=no_such:loss"], "no_such"),
  "hyper-parameter that the objective lacks": (
    ["--config.objective=autoencoder", "--config.sweep.strength=0.1"],
    "'strength'.*objective autoencoder has none",
  ),
  "empty grid": (["--config.sweep.latent_size=()"], "grid is empty"),
  "latent size 0": (["--config.sweep.latent_size=0,2"], "at least 1; got 0"),
  "missing config": (["--config=no_such.py"], "no_such.py.*give a path$"),
  "unknown dataset": (["--config.data.name=mnits"], "mnits.*mnist"),
  "missing file": (["--config.data.path=no_such.npy"], "no_such.npy"),
  "NaN": (["--config.data.path=nan.npy"], r"NaN.*\(3, 1\)"),
  "object array": (["--config.data.path=object.npy"], "object.npy"),
  "ragged array": (["--config.data.path=ragged.npy"], "ragged.npy"),
  "one example": (
    ["--config.data.path=one.npy"],
    "at least three examples.*got 1",
  ),
  "workdir is a file": (["--workdir=one.npy"], "one.npy"),
  "workdir of something else": (
    ["--workdir=other"],
    "holds .* without config.json",
  ),
  "empty workdir": (["--workdir="], "--workdir is empty"),
  "empty config": (["--config="], "no config file ''"),
  "config that is no config": (
    ["--config=mine.py"],
    "mine.py lacks the fields data, fixed",
  ),
  "two examples": (
    ["--config.data.path=two.npy"],
    "at least three examples.*got 2",
  ),
  "no memory": (["--config.memory_gb=0"], "memory_gb must be above 0"),
  "objective twice": (
    ["--config.objective=vae", "--config.sweep.objective=sparse"],
    "config.objective or config.sweep.objective",
  ),
  "axis of an axis": (["--config.sweep.latent_size.x=3"], "latent_size is a"),
  "values of an objective": (["--config.sweep.sparse=0.1"], "sparse is an obj"),
  "axis of an unknown module": (["--config.sweep.a.b:c.w=1"], "cannot load.*a"),
  "loss that raises": (
    ["--config.objective=bad_losses:loss"],
    r"bad_losses:loss \(line 2\) raised AttributeError.*encoder",
  ),
  "hyper-parameter named as a column": (
    ["--config.objective=bad_losses:named"],
    "'id'.*no other column's",
  ),
  "module that raises": (["--config.objective=raising:f"], "division by zero"),
  "negative strength": (
    ["--config.objective=sparse", "--config.sweep.strength=-1"],
    r"strength must be in \[0.0, inf\]; got -1.0",
  ),
  "target of 1.5": (
    ["--config.objective=sparse_kl", "--config.sweep.target=1.5"],
    "target must be in",
  ),
  "bernoulli of other data": (
    ["--config.data.path=wide.npy", "--config.fixed.likelihood=bernoulli"],
    r"needs data in \[0, 1\]; these are in \[-",
  ),
  "unwritable workdir": (["--workdir=/proc/ae_jax"], "cannot write"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(mistake, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  np.save("x.npy", np.linspace(0, 1, 40).reshape(10, 4))
  np.save("nan.npy", [[0.0, 1.0]] * 3 + [[0.0, np.nan]])
  np.save("object.npy", np.array([{}, {}]), allow_pickle=True)
  np.save(
    "ragged.npy", np.array([[0], [0, 1]], dtype=object), allow_pickle=True
  )
  np.save("one.npy", np.zeros((1, 4)))
  Path("other").mkdir()
  Path("other", "results.csv").write_text("mine")
  np.save("two.npy", np.zeros((2, 4)))
  np.save("wide.npy", np.linspace(-3, 3, 40).reshape(10, 4))
  Path("mine.py").write_text(
    "def get_config():\n  return {'objective': 'vae'}\n"
  )
  Path("bad_losses.py").write_text(
    "def loss(model, params, key, batch):\n  return model.encoder(batch)\n"
    "def named(model, params, key, batch, *, id: float = 1.0):\n"
    "  return batch.sum(), {}\n"
  )
  Path("raising.py").write_text("1 / 0\n")
  monkeypatch.syspath_prepend(tmp_path)
  arguments, message = MISTAKES[mistake]
  if not any("config.data." in argument for argument in arguments):
    arguments = ["--config.data.path=x.npy", *arguments]
  code, out, err = call(
    sweep.main, f"--config.data.data_dir={tmp_path / 'tfds'}", *arguments
  )
  assert code == 2
  (line,) = err.splitlines()
  assert line.startswith("error: ")
  assert len(line) < 450
  assert "\\" not in line
  assert re.search(message, line), line
  assert "Traceback" not in out + err
  assert not Path("runs").exists()
  assert not Path("tfds").exists()


@pytest.mark.parametrize(
  ("text", "values"),
  [
    ("2, 8", (2, 8)),
    ("(2, 8)", (2, 8)),
    ("[0.1]", (0.1,)),
    ("8", (8,)),
    ("vae,sparse", ("vae", "sparse")),
    ("('vae', 'sparse')", ("vae", "sparse")),
    ("(vae, sparse)", ("vae", "sparse")),
    ("my_module:my_loss", ("my_module:my_loss",)),
    ("((64,), (64, 32))", ((64,), (64, 32))),
    ("()", ()),
  ],
)
def test_values_of_an_axis(text, values):
  assert flags.parse_values("x", text) == values


def test_an_axis_of_the_command_line_replaces_those_of_objectives():
  line = flags.parse(
    ["x", "--config.sweep.strength", "-0.5", "--config.sweep.vae.beta=2.0"]
  )
  assert line.path.name == "digits.py"
  assert line.axes["strength"] == (-0.5,)
  assert line.axes["vae"] == {"beta": (2.0,)}
  assert line.axes["sparse"] == {}
  assert line.axes["denoising"]["noise"] == (0.1,)


@pytest.mark.parametrize("text", ["a,b", "a, b", "(a, b)", "('a', 'b')"])
def test_names_of_metrics(text):
  config = flags.parse(["x", f"--config.metrics={text}"]).config
  assert sweep._names(config.metrics) == ["a", "b"]


def test_the_last_of_a_repeated_flag_counts():
  given = ["--config.fixed.widths=64", "--config.fixed.widths=32"]
  given += ["--config.fixed.num_epochs=3", "--config.fixed.num_epochs=5"]
  fixed = flags.parse(["x", *given]).config.fixed
  assert (fixed.widths, fixed.num_epochs) == ((32,), 5)


def test_a_hyper_parameter_is_taken_for_no_other_field():
  with pytest.raises(UsageError) as raised:
    flags.parse(["x", "--config.fixed.beta=0.5"])
  assert "did you mean" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "()"])
def test_no_metrics(text):
  config = flags.parse(["x", f"--config.metrics={text}"]).config
  assert sweep._names(config.metrics) == []

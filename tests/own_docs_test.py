"""The pages of docs/own run from top to bottom, and their messages are true."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from shell import without_page

from ae_jax.cli import evaluate, report, use
from experiments import sweep

PAGES = sorted((Path(__file__).parent.parent / "docs" / "own").glob("*.md"))
SMALL = (
  "--config.metrics=",
  "--config.sweep.seed=0,",
  "--config.fixed.num_epochs=1",
  "--config.fixed.widths=()",
)


@pytest.fixture
def reader(monkeypatch, tmp_path):
  """The folder of a reader, whose modules are forgotten later."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(tmp_path)
  np.save("x.npy", np.zeros((3, 8, 8, 1), np.float32))
  yield tmp_path
  for file in tmp_path.glob("*.py"):
    sys.modules.pop(file.stem, None)


FAST = ("index", "objective")


@pytest.mark.parametrize(
  "page",
  [
    pytest.param(p, marks=[] if p.stem in FAST else pytest.mark.slow, id=p.stem)
    for p in PAGES
  ],
)
def test_page_runs_and_its_messages_are_true(page, reader):
  text = page.read_text()
  names, module = {"jnp": jnp, "np": np, "nn": nn}, ""
  for language, block in re.findall(
    r"```(python|sh)\n(.*?)```", text, re.DOTALL
  ):
    file = re.match(r"# (\w+)\.py\n", block)
    if file is not None:
      module = file[1]
      (reader / f"{module}.py").write_text(block)
      sys.modules.pop(module, None)  # another page's
      importlib.invalidate_caches()
    elif language == "python":
      exec(compile(block, page.name, "exec"), names)
    else:
      for command in commands(block):
        call(*command)
  names |= {"__name__": module, module: importlib.import_module(module)}
  for mistake in MISTAKES[page.stem]:
    with pytest.raises(ValueError, match=".") as caught:
      exec(compile(mistake, "a mistake", "exec"), dict(names))
    assert is_in(str(caught.value), text), caught.value


def is_in(message, page):
  """Whether a message is code in a page, where "..." stands for any text."""
  prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
  shown = re.findall(r"`([^`]+)`", " ".join(prose.split()))
  return any(
    re.fullmatch(re.escape(code).replace(r"\.\.\.", ".*"), message)
    for code in shown
  )


def commands(block):
  """The commands of a block, as lists of words."""
  for line in block.replace("\\\n", " ").splitlines():
    program, *words = shlex.split(line, comments=True)
    assert program in ("./launch.sh", "ae-jax")
    yield words


def call(command, *words):
  if command == "sweep":
    given = {word.partition("=")[0] for word in words}
    small = [word for word in SMALL if word.partition("=")[0] not in given]
    with without_page():
      sweep.main([command, *words, *small])
  elif command in ("report", "evaluate"):
    {"report": report, "evaluate": evaluate}[command].main([command, *words])
  else:
    use.main(["ae-jax", command, *words])


def test_the_pages_are_short():
  for page in PAGES:
    lines = page.read_text().splitlines()
    assert len(lines) <= 112, page.name
    assert max(map(len, lines)) <= 100, page.name


def test_links_lead_to_files():
  for page in PAGES:
    for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
      assert link.startswith("http") or (page.parent / link).exists(), link


LOSS = """
def bad(model, params, key, batch, {}):
  {}
ae_jax.run_sweep([{{"objective": bad, {}}}], counts)
"""
WITH_STATE = """
@ae_jax.objective(state=lambda *_, **__: {})
def bad(model, params, key, batch):
  return batch.sum(), {}
ae_jax.run_sweep([{"objective": bad}], counts)
"""
NETWORK = """
@ae_jax.network()
def bad(spec):
  return {}
ae_jax.run_sweep([{{"network": bad}}], x)
"""
LAYER = """
class Layer(nn.Module):
  @nn.compact
  def __call__(self, x):
    return {}
"""
WITH_LAYER = NETWORK.format(
  "ae_jax.Network(Layer(), my_networks.Gated(8, 1.0, 64), 8)"
)
LIKELIHOOD = """
{}
def bad(x, decoded):
  return abs(x - decoded).sum(axis=1)
ae_jax.run_sweep([{{"likelihood": bad}}], x - 1)
"""
METRIC = """
@ae_jax.metric({}=("share", "{}", "what it means"))
def bad(model, params, data):
  return {}
ae_jax.run_sweep([{{"num_epochs": 1}}], x, metrics=[bad]).best("b")
"""
DATASET = """
my_data.bad = ae_jax.dataset()({})
ae_jax.run_sweep([{{}}], "my_data:bad")
"""


def trained(point, x="x"):
  """A sweep of one point."""
  return f"ae_jax.run_sweep([{{{point}}}], {x})"


MISTAKES = {
  "index": [
    trained("'objective': my_module.my_loss, 'power': 1.5"),
    trained("'objective': my_module.my_loss, 'weigth': 1.0"),
    trained("'objective': my_module.my_loss, 'weight_start': 0.5"),
    trained("'objective': my_module.my_loss, 'weight_schedule': 'step'"),
    trained("'objective': 'my_modul:my_loss'"),
  ],
  "objective": [
    LOSS.format("weight=1.0", "return batch.sum(), {}", ""),
    WITH_STATE,
    LOSS.format("*, weight: float = 1.0", "return batch.sum(axis=1), {}", ""),
    LOSS.format("*, weight: float = 1", "return 0.0, {}", "'weight': 0.5"),
    LOSS.format("*, w: float = 1.0", "return (0.0, {}) if w > 0 else None", ""),
    "ae_jax.load('runs/own')",
  ],
  "optimizer": [
    trained("'weight_decay': 0.1"),
    "ae_jax.grid.union({'weight_decay': [0.1]})",
    trained("'optimizer': 'adamw', 'weight_decay_schedule': 'linear'"),
    trained("'optimizer': 'sgd', 'momentum': 1.5"),
    trained("'clip_norm': 0.0"),
    trained("'optimizer': 'muon'"),
    f"""
def bad(learning_rate, *, decay: float = 0.9):
  return my_optimizers.shrinking_adam(0.1) if decay > 0 else None
{trained("'optimizer': bad, 'decay': 0.5")}
""",
    f"""
def bad(learning_rate, decay=0.9):
  return None
{trained("'optimizer': bad")}
""",
  ],
  "network": [
    NETWORK.replace("@ae_jax.network()", "").format("None"),
    NETWORK.format("(None, None, 8)"),
    LAYER.format("x[:, :, None]") + WITH_LAYER,
    NETWORK.format("ae_jax.Network(*2 * (my_networks.Gated(8, 1.0),), 8)"),
    LAYER.format("nn.Dense(8, name='code')(x)") + WITH_LAYER,
    LAYER.format("nn.BatchNorm(False)(x)") + WITH_LAYER,
    "ae_jax.load('runs/own')",
  ],
  "likelihood": [
    LIKELIHOOD.format(""),
    LIKELIHOOD.format("@ae_jax.likelihood(mean=abs, support=(0, np.inf))"),
    LIKELIHOOD.format("@ae_jax.likelihood(mean=abs, size=2)"),
    LIKELIHOOD.format("@ae_jax.likelihood(mean=abs)").replace("axis=1", ""),
    trained("'likelihood': my_likelihoods.laplace, 'scale': 0.0"),
    "ae_jax.load('runs/own')",
  ],
  "metric": [
    METRIC.format("b", "lower", "{}").replace("@", "#"),
    METRIC.format("b", "max", "{}"),
    METRIC.format("b", "lower", "{'c': data.test.mean()}"),
    METRIC.format("b", "lower", "{'b': model.latent_mask}"),
    METRIC.format("test_active_share", "lower", "{}"),
    METRIC.format("b", "lower", "{'b': jnp.mean(data.test_classes)}"),
    METRIC.format("b", "", "{'b': data.test.mean()}"),
    "ae_jax.run_sweep([{}], x, metrics=['participation'])",
  ],
  "dataset": [
    trained("", "my_data.waves"),
    trained("", "'my_data:wave'"),
    trained("", "'my_data:waves', labels=[0, 1]"),
    "def bad(n):\n  return n\n" + DATASET.format("bad"),
    DATASET.format("lambda: {'train': [0, 1, 2]}"),
    DATASET.format("lambda: {'x': [0, 1], 'test_labels': [0]}"),
    "ae_jax.evaluate('runs/own', ['noise'])",
    "my_data.waves = ae_jax.dataset()(lambda: np.zeros((9, 2)))\n"
    "ae_jax.evaluate('runs/own', ['noise'], modules=['my_data'])",
  ],
}

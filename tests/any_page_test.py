"""Every run has a page: data of any shape, trials that diverged, no labels."""

import html
import json
import subprocess
import sys

import numpy as np
import pytest
from parsed_page import SCRIPT, ParsedPage, check_safe, make
from shell import rows_of

import ae_jax
from ae_jax import data, report
from ae_jax.cli import report as program
from ae_jax.metrics.columns import GROUPS
from ae_jax.report import Page
from ae_jax.run_folder import results, run_config
from ae_jax.run_folder.dataset import dataset_of
from ae_jax.types import UsageError

RNG = np.random.default_rng(0)
OWN_LOSS = f"""
import jax.numpy as jnp


def own(model, params, key, batch, *, word: str = "{SCRIPT}"):
  x = model.decode(params, model.encode(params, batch))
  return jnp.mean(model.nll(batch, x)), {{}}
"""

ANY_RUN = pytest.mark.parametrize(
  ("x", "given", "settings", "sections"),
  [
    pytest.param(
      RNG.normal(size=(40, 4, 5, 3)),
      {"labels": np.zeros(40, int), "standardize": True},
      {"objective": ["vae", "sparse"]},
      ["vae", "sparse"],
      id="standardized colors of one class",
    ),
    pytest.param(
      RNG.uniform(size=(40, 4, 4, 1)),
      {"labels": np.arange(40)},
      {"objective": ["denoising"], "network": ["conv"], "widths": [(4,)]},
      ["denoising"],
      id="convolutions, a class for each image",
      marks=pytest.mark.slow,
    ),
    pytest.param(
      1e6 * RNG.normal(size=(40, 3)),
      {},
      {"objective": ["autoencoder"], "latent_size": [8]},
      ["autoencoder"],
      id="one trial, larger than the large vectors",
    ),
    pytest.param(
      RNG.normal(size=12),
      {"labels": RNG.normal(size=12)},
      {"objective": ["vae"], "latent_size": [1, 2]},
      ["vae"],
      id="numbers",
    ),
    pytest.param(
      np.zeros((3, 2, 3, 3, 1)),
      {},
      {"objective": ["sparse"], "latent_size": [1]},
      ["sparse"],
      id="nothing to see",
    ),
    pytest.param(
      RNG.normal(size=(40, 6)),
      {"labels": np.array(["a", "b"] * 20)},
      {"objective": ["sparse", "contractive"], "strength": [0.1, 1e30]},
      ["sparse", "contractive"],
      id="some diverged",
      marks=pytest.mark.diverges,
    ),
    pytest.param(
      RNG.uniform(size=(40, 4, 4)),
      {},
      {"objective": ["autoencoder"], "learning_rate": [1e30]},
      [],
      id="all diverged",
      marks=pytest.mark.diverges,
    ),
  ],
)  # fmt: skip


@ANY_RUN
@pytest.mark.parametrize(
  "metrics", [(), pytest.param(tuple(GROUPS), marks=pytest.mark.slow)]
)
def test_any_run_has_a_page(tmp_path, x, given, settings, sections, metrics):
  page = make(tmp_path, x, settings, metrics, **given)
  check_safe(page)
  for name in sections:
    assert name in page.headings
  assert ("Each objective" in page.headings) is bool(sections)
  steps = [row["diverged_step"] for row in results.read_rows(tmp_path).values()]
  assert any("stopped being finite" in word for word in page.words) is any(
    steps
  )
  assert any("trials diverged: lower" in word for word in page.words) is any(
    steps
  )
  assert "ae_jax.run_sweep(points, x, folder=...)" in page.text
  if not metrics:
    assert "Evaluation" not in page.headings
    assert not any("Jacobian" in alt for alt in page.pictures)


def test_a_loss_of_a_user(tmp_path, monkeypatch):
  (tmp_path / "my_loss.py").write_text(OWN_LOSS)
  monkeypatch.syspath_prepend(tmp_path)
  settings = {"objective": ["my_loss:own"], "word": [SCRIPT, "<b>"]}
  page = make(tmp_path / "run", RNG.normal(size=(40, 5)), settings)
  check_safe(page)
  assert "my_loss:own" in page.headings
  (heat_map,) = (f for f in page.figures if f["data"][0]["type"] == "heatmap")
  assert "&lt;b&gt;" in heat_map["data"][0]["y"]


def run(data, folder=None):
  points = [{"latent_size": 1, "num_epochs": 1}]
  return ae_jax.run_sweep(
    points, data, folder=folder, metrics=(), progress=False
  )


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
  """A run on numbers, without its page."""
  folder = tmp_path_factory.mktemp("numbers") / "run"
  return run(RNG.normal(size=(20, 3)), folder)


def test_a_notebook_shows_the_page_in_a_frame(numbers):
  page = numbers.report()
  assert page == Page(numbers.folder / report.REPORT)
  frame = page._repr_html_()
  check_safe(ParsedPage(page.path))
  start = '<iframe srcdoc="'
  assert frame.startswith(start)
  document, rest = frame.removeprefix(start).split('"', 1)
  assert html.unescape(document) == page.path.read_text("utf-8")
  assert not {"<", ">"} & {*document}
  assert 'sandbox="allow-scripts"' in rest
  assert rest.count("<") == 1


def test_the_text_of_a_page_does_not_leave_its_frame(tmp_path):
  (tmp_path / "a.html").write_text("\"></iframe><script>&amp;'", "utf-8")
  frame = Page(tmp_path / "a.html")._repr_html_()
  assert "&quot;&gt;&lt;/iframe&gt;&lt;script&gt;&amp;amp;&#x27;" in frame
  assert frame.count("<") == 2


def test_a_run_in_memory_has_no_page():
  results = run(RNG.normal(size=(20, 3)))
  with pytest.raises(UsageError, match=r"run_sweep\(folder=...\)"):
    results.report()


@pytest.mark.parametrize("package", ["plotly", "matplotlib", "jinja2"])
def test_a_missing_package_is_one_line(numbers, monkeypatch, package):
  monkeypatch.setitem(sys.modules, package, None)  # as if not installed
  message = rf"{package} .*pip install 'ae_jax\[report\]'"
  with pytest.raises(UsageError, match=message):
    numbers.report()
  path = numbers.folder / "a.png"
  with pytest.raises(UsageError, match=message):
    report.write_picture(numbers.folder, dataset_of(numbers.folder), path)


def test_importing_the_page_loads_nothing_that_draws():
  code = "import sys, ae_jax.report; print(*sys.modules)"
  modules = subprocess.check_output([sys.executable, "-c", code], text=True)
  assert not {"plotly", "matplotlib", "jinja2"} & {*modules.split()}


@pytest.mark.parametrize("command", [SCRIPT, {"a": 1}, [SCRIPT, 3, None]])
def test_a_config_of_others_is_only_shown(numbers, command):
  path = numbers.folder / run_config.CONFIG
  before = path.read_text("utf-8")
  config = json.loads(before) | {"command": command, "devices": [SCRIPT, 1]}
  path.write_text(json.dumps(config | {"versions": {SCRIPT: SCRIPT}}), "utf-8")
  try:
    check_safe(ParsedPage(numbers.report().path))
  finally:
    path.write_text(before, "utf-8")


def test_other_data_are_noticed(tmp_path):
  np.save(tmp_path / "x.npy", RNG.normal(size=(20, 3)))
  run(tmp_path / "x.npy", tmp_path / "run")
  np.save(tmp_path / "x.npy", RNG.normal(size=(20, 3)))
  with pytest.raises(UsageError, match="its digest differs"):
    program.rebuild(["report.py", str(tmp_path / "run")])


def test_the_command_is_on_the_page(numbers):
  path = numbers.folder / run_config.CONFIG
  before = path.read_text("utf-8")
  command = ["sweep.py", "--workdir=a b", "--config.metrics=()"]
  config = json.loads(before)
  config |= {"command": command, "config": {"objective": "vae"}}
  path.write_text(json.dumps(config), "utf-8")
  try:
    words = ParsedPage(numbers.report().path).words
  finally:
    path.write_text(before, "utf-8")
  (line,) = (word for word in words if "sweep" in word)
  assert line.strip() == "ae-jax sweep '--workdir=a b' '--config.metrics=()'"
  assert any('"objective": "vae"' in word for word in words)


def test_factors_and_udr_are_on_the_page(tmp_path):
  factors = np.stack([np.arange(60) % 3, np.arange(60) // 3 % 4], axis=1)
  x = factors @ RNG.normal(size=(2, 6)) + 0.1 * RNG.normal(size=(60, 6))
  names = ("shape", "orientation")
  words = np.array(["ant", "bee", "cat", "dog"])[factors]
  dataset = data.from_arrays(x, train_factors=words, factor_names=names)
  assert dataset.unordered_factors == names
  settings = {"objective": ["vae"], "beta": [0.1, 1.0], "seed": [0, 1]}
  page = make(tmp_path, dataset, settings, ("disentanglement", "likelihood"))
  check_safe(page)
  assert "Mutual information of code units and factors" in page.text
  assert "mig: mutual information gap" in page.text
  assert "two best units, each alone predicting it" in page.text
  assert "orientation" in page.text
  assert "udr: how alike the units of all seeds are" in page.text
  assert "udr" not in (tmp_path / results.RESULTS).read_text()
  for row in rows_of(tmp_path):
    for name in ("mig", "sap", "modularity", "dci_completeness"):
      assert 0 <= float(row[name]) <= 1

"""The page of a run: what is on it, what is not; nothing of a user runs."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from ae_jax import data, report
from ae_jax.cli import sweep
from ae_jax.metrics.registry import METRICS
from ae_jax.report import examples, generated
from ae_jax.run_folder import checkpoints, curves, results, run_config
from ae_jax.sweep import run as run_points
from ae_jax.types import UsageError
from experiments import report as program

RNG = np.random.default_rng(0)
SCRIPT = "</script><script>alert(1)</script>"
VOID = {"meta", "link", "img", "br"}
OWN_LOSS = f"""
import jax.numpy as jnp


def own(model, params, key, batch, *, word: str = "{SCRIPT}"):
  x = model.decode(params, model.encode(params, batch))
  return jnp.mean(model.nll(batch, x)), {{}}
"""
TEXT = "user text that must not become markup"


class Page(HTMLParser):
  """Tags, attributes and texts of a page; every tag must be closed."""

  def __init__(self, path):
    super().__init__()
    self.text = path.read_text()
    self.tags, self.attributes, self.headings = [], [], []
    self.cells, self.scripts, self.words = [], [], []
    self._open = []
    self.input_pipeline(self.text)
    self.close()
    assert self._open == []

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    self.tags.append(tag)
    self.attributes.append((tag, attrs))
    if tag not in VOID:
      self._open.append(tag)
    if tag == "tr":
      self.cells.append([])
    if tag == "td":
      self.cells[-1].append(attrs.get("data-value"))

  def handle_endtag(self, tag):
    assert self._open.pop() == tag

  def handle_data(self, text):
    if self._open and self._open[-1] == "script":
      self.scripts.append(text)
    elif self._open and self._open[-1] in ("h2", "h3"):
      self.headings.append(text)
    elif self._open and self._open[-1] != "style":
      self.words.append(text)

  @property
  def figures(self):
    for script in self.scripts:
      if script.lstrip().startswith("const figures"):
        assert "<" not in script.split("// A finger")[0]
        body = re.search(r"= (\[.*?\n\]);", script, re.DOTALL)[1]
        return json.loads(re.sub(r",\s*\]$", "]", body))
    return []

  @property
  def pictures(self):
    return [a["alt"] for tag, a in self.attributes if tag == "img"]


def make(folder, x, *arguments, labels=None, name="x"):
  """Runs a small sweep; returns its workdir and its page."""
  path = folder / f"{name}.npy"
  np.save(path, x)
  own = [f"--config.data.path={path}"]
  if labels is not None:
    np.save(folder / "labels.npy", labels)
    own.append(f"--config.data.labels_path={folder / 'labels.npy'}")
  workdir = folder / "out"
  sweep.main(
    [
      "sweep.py",
      f"--workdir={workdir}",
      "--config.fixed.num_epochs=1",
      "--config.fixed.batch_size=16",
      "--config.fixed.widths=6",
      "--config.sweep.seed=0",
      *own,
      *arguments,
    ]
  )
  return workdir, Page(workdir / report.REPORT)


def check_safe(page):
  """Nothing is loaded, nothing of a user is markup, all pictures are told."""
  for tag, attributes in page.attributes:
    for name in ("src", "href"):
      url = attributes.get(name)
      assert url is None or url.startswith(("data:", "#")), (tag, url)
    assert not any(name.startswith("on") for name in attributes)
  assert not {"b", "i", "iframe"} & {*page.tags}
  # Plotly, the figures (both only where there are some), and the sorting.
  assert page.tags.count("script") in (1, 3)
  assert not any("alert(1)" in script for script in page.scripts[:1])
  assert all(page.pictures)
  ids = [a["id"] for _, a in page.attributes if "id" in a]
  assert len(ids) == len({*ids})
  links = [a["href"] for tag, a in page.attributes if tag == "a"]
  assert {link.removeprefix("#") for link in links} == {*ids}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
  """Images of three objectives, with names and labels that are no words."""
  folder = tmp_path_factory.mktemp("images")
  x = RNG.integers(0, 255, (60, 5, 4), np.uint8)
  return make(
    folder,
    x,
    "--config.sweep.objective=sparse,denoising,vae",
    "--config.sweep.latent_size=2,3",
    "--config.sweep.seed=0,1",
    "--config.sweep.strength=0.01,0.1",
    "--config.sweep.noise=0.0,0.1",
    "--config.sweep.corruption=masking",
    "--config.sweep.beta=1.0",
    labels=np.array([SCRIPT, "$x^2$ & 漢字", "<b>"] * 20),
    name="<b>x&y",
  )


def test_the_page_of_images(images):
  _, page = images
  check_safe(page)
  assert page.headings == [
    "The best trials",
    "Latent size and strength",
    "All trials",
    "Learning curves",
    "What the codes are worth",
    "Each objective",
    "sparse",
    "denoising",
    "vae",
    "How to reproduce",
  ]
  assert "Autoencoders on <b>x&y" in page.words
  kinds = [figure["data"][0]["type"] for figure in page.figures]
  # Latent sizes, two maps, rates; trials; learning curves, three corruptions,
  # two spectra.
  assert kinds[:4] == ["scatter", "heatmap", "heatmap", "scatter"]
  assert kinds[4:] == ["parcoords"] + ["scatter"] * 6
  # Reconstructions, codes, PCA's, values, filters; where a strength is swept
  # the Jacobian's norm; of the VAE three more.
  assert len(page.pictures) == 3 * 5 + 2 + 1 + 3
  noisy = [alt for alt in page.pictures if "restored" in alt]
  assert len(noisy) == 1


def test_the_table_holds_the_numbers_of_results_csv(images):
  workdir, page = images
  with (workdir / results.RESULTS).open(newline="") as file:
    rows = {row["id"]: row for row in csv.DictReader(file)}
  (start,) = (
    i
    for i, (tag, a) in enumerate(page.attributes)
    if a.get("class") == "sortable"
  )
  titles = [
    a["title"].partition(":")[0]
    for tag, a in page.attributes[start:]
    if tag == "th" and "title" in a
  ]
  shown = [line for line in page.cells if line and line[0] in rows]
  assert len(shown) == len(rows) == 20
  for line in shown:
    for name, value in zip(titles, line, strict=False):
      if name != "udr":  # of several trials, on the page only
        assert value == rows[line[0]][name]


def test_another_measure_says_what_is_best(images, tmp_path):
  workdir = tmp_path / "out"
  shutil.copytree(images[0], workdir)
  dataset = data.load(**run_config.read_config(workdir)["config"]["data"])
  page = Page(report.write(workdir, dataset, by="probe_accuracy"))
  check_safe(page)
  text = " ".join(" ".join(page.words).split())
  for words in ("probe accuracy PCA the data", "precision at 10", "dead units"):
    assert words in text
  largest = max(
    float(row["probe_accuracy"]) for row in results.read_rows(workdir).values()
  )
  assert f"Largest probe accuracy: {largest:.4g}, by" in text
  assert any("jacobian_norm: ||df/dx||" in alt for alt in page.pictures)


def test_a_run_without_measures_shows_none(tmp_path):
  workdir, page = make(
    tmp_path,
    RNG.uniform(size=(30, 4)),
    "--config.metrics=()",
    "--config.sweep.objective=vae",
  )
  check_safe(page)
  assert "What the codes are worth" not in page.headings
  assert not any("Jacobian" in alt for alt in page.pictures)


@pytest.mark.parametrize(
  ("x", "labels", "arguments", "sections"),
  [
    pytest.param(
      RNG.normal(size=(40, 4, 5, 3)),
      np.zeros(40, int),
      ("--config.data.standardize=True", "--config.sweep.objective=vae,sparse"),
      ["vae", "sparse"],
      id="standardized colors of one class",
    ),
    pytest.param(
      RNG.uniform(size=(40, 4, 4, 1)),
      np.arange(40),
      ("--config.fixed.network=conv", "--config.sweep.objective=denoising"),
      ["denoising"],
      id="convolutions, a class for each image",
      marks=pytest.mark.slow,
    ),
    pytest.param(
      1e6 * RNG.normal(size=(40, 3)),
      None,
      ("--config.sweep.objective=autoencoder", "--config.sweep.latent_size=8"),
      ["autoencoder"],
      id="one trial, larger than the large vectors",
    ),
    pytest.param(
      RNG.normal(size=12),
      RNG.normal(size=12),
      ("--config.sweep.objective=vae", "--config.sweep.latent_size=1,2"),
      ["vae"],
      id="numbers",
    ),
    pytest.param(
      np.zeros((3, 2, 3, 3, 1)),
      None,
      ("--config.sweep.objective=sparse", "--config.sweep.latent_size=1"),
      ["sparse"],
      id="nothing to see",
    ),
    pytest.param(
      RNG.normal(size=(40, 6)),
      np.array(["a", "b"] * 20),
      (
        "--config.sweep.objective=sparse,contractive",
        "--config.sweep.latent_size=2",
        "--config.sweep.strength=0.1,1e30",
      ),
      ["sparse", "contractive"],
      id="some diverged",
      marks=pytest.mark.diverges,
    ),
    pytest.param(
      RNG.uniform(size=(40, 4, 4)),
      None,
      (
        "--config.sweep.objective=autoencoder",
        "--config.fixed.learning_rate=1e30",
      ),
      [],
      id="all diverged",
      marks=pytest.mark.diverges,
    ),
  ],
)  # fmt: skip
def test_any_run_has_a_page(tmp_path, x, labels, arguments, sections):
  workdir, page = make(tmp_path, x, *arguments, labels=labels)
  check_safe(page)
  for name in sections:
    assert name in page.headings
  assert ("Each objective" in page.headings) is bool(sections)
  steps = [row["diverged_step"] for row in results.read_rows(workdir).values()]
  assert any("stopped being finite" in word for word in page.words) is any(
    steps
  )


def test_a_loss_of_ones_own(tmp_path, monkeypatch):
  (tmp_path / "my_loss.py").write_text(OWN_LOSS)
  monkeypatch.syspath_prepend(tmp_path)
  _, page = make(
    tmp_path,
    RNG.normal(size=(40, 5)),
    "--config.objective=my_loss:own",
    f"--config.sweep.word=('{SCRIPT}', '<b>')",
  )
  check_safe(page)
  assert "my_loss:own" in page.headings
  (heat_map,) = (f for f in page.figures if f["data"][0]["type"] == "heatmap")
  assert "&lt;b&gt;" in heat_map["data"][0]["y"]


def test_a_page_of_500_trials(images, tmp_path, monkeypatch):
  workdir = tmp_path / "out"
  shutil.copytree(images[0], workdir)
  row = [*results.read_rows(workdir).values()][0]
  many = []
  for i in range(480):
    many.append(row | {"id": f"{i:010x}", "test_squared_error": str(99.0 + i)})
    many[-1] |= {name: str(RNG.normal()) for name in METRICS if name not in row}
    history = {"loss": RNG.normal(size=100), "reconstruction": np.ones(100)}
    many[-1]["series"] = curves.write(workdir, many[-1]["id"], history, {})
  results.add_rows(workdir, many)
  every = {*results.read_rows(workdir)}
  monkeypatch.setattr(checkpoints, "whole", lambda workdir: every)
  dataset = data.load(**run_config.read_config(workdir)["config"]["data"])
  path = report.write(workdir, dataset)
  assert path.stat().st_size < 10e6
  assert len([line for line in Page(path).cells if line]) > 500


def test_the_program_rebuilds_the_page(images, capsys):
  workdir, page = images
  path = workdir / report.REPORT
  path.unlink()
  program.main(["report.py", str(workdir), "--by=train_squared_error"])
  assert capsys.readouterr().out == f"{path}\n"
  check_safe(Page(path))
  program.main(["report.py", str(workdir)])
  assert Page(path).text == page.text


def test_the_program_draws_a_picture(images, tmp_path, capsys):
  path = tmp_path / "picture.png"
  program.main(["report.py", str(images[0]), f"--picture={path}"])
  assert capsys.readouterr().out == f"{path}\n"
  content = path.read_bytes()
  assert content.startswith(b"\x89PNG")
  assert len(content) < 150_000


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ((), "name one run directory; got 0"),
    (("a", "b"), "name one run directory; got 2"),
    (("nowhere",), "holds no run"),
    (("{run}", "--by=beauty"), "no metric 'beauty'"),
    (("{run}", "--by=seed"), "there are loss, "),
    (("{run}", "--bi=loss"), "Unknown command line flag 'bi'"),
    (("{run}", "--picture=no/such/folder/a.png"), "No such file"),
  ],
)
def test_a_mistake_is_one_line(images, capsys, arguments, message):
  argv = [a.format(run=images[0]) for a in arguments]
  with pytest.raises(SystemExit) as exit:
    program.main(["report.py", *argv])
  assert exit.value.code == 2
  error = capsys.readouterr().err
  assert error.startswith("error: ")
  assert message in error
  assert error.count("\n") == 1


def test_other_data_are_noticed(tmp_path):
  workdir, _ = make(
    tmp_path, RNG.normal(size=(20, 3)), "--config.sweep.objective=autoencoder"
  )
  np.save(tmp_path / "x.npy", RNG.normal(size=(20, 3)))
  with pytest.raises(UsageError, match="its digest differs"):
    program.rebuild(["report.py", str(workdir)])


def test_content_and_style_are_swapped():
  digits = data.load()
  point = {"objective": "gvae", "latent_size": 3, "content": 0.4}
  (trained,) = run_points([point | {"num_epochs": 1}], digits, metrics=())
  picture = generated.swaps(trained, examples.of(digits))
  assert "(the first 1 of 3 units) in the style" in picture.caption


def test_what_units_tell_of_factors_is_on_the_page(tmp_path):
  run = tmp_path / "run"
  sweep.main(
    [
      "sweep.py",
      f"--workdir={run}",
      "--config.data.name=shapes/2x2x1x5x5",
      "--config.objective=vae",
      "--config.sweep.beta=0.1,1.0",
      "--config.sweep.latent_size=3,",
      "--config.sweep.seed=0,1",
      "--config.fixed.num_epochs=1",
      "--config.metrics=disentanglement,likelihood",
    ]
  )
  page = (run / "report.html").read_text(encoding="utf-8")
  assert "Mutual information of code units and factors" in page
  assert "mig: mutual information gap" in page
  assert "orientation" in page
  assert "udr: how alike the units of all seeds are" in page
  assert "udr" not in (run / "results.csv").read_text()

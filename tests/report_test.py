"""The page of a run: what is on it, what is not; nothing of a user runs."""

import csv
import shutil

import numpy as np
import pytest
from parsed_page import SCRIPT, ParsedPage, check_safe, make

from ae_jax import data, report, run_sweep
from ae_jax.cli import report as program
from ae_jax.metrics.columns import METRICS
from ae_jax.report import examples, generated
from ae_jax.run_folder import curves, load, results
from ae_jax.run_folder.dataset import dataset_of

RNG = np.random.default_rng(0)
# Those that the page of images without factors shows more of than columns.
SHOWN = (
  *("reconstruction", "features", "neighbors", "activity", "noise"),
  *("likelihood", "rate"),
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
  """A run on images, and its page; name and labels are no plain words."""
  folder = tmp_path_factory.mktemp("images") / "out"
  dataset = data.from_arrays(
    RNG.integers(0, 255, (60, 5, 4), np.uint8),
    train_labels=np.array([SCRIPT, "$x^2$ & 漢字", "<b>"] * 20),
    name="<b>x&y",
  )
  both = {"latent_size": [2, 3]}
  settings = [
    both | {"objective": ["sparse"], "strength": [0.01, 0.1], "seed": [0, 1]},
    both
    | {
      "objective": ["denoising"],
      "noise": [0.0, 0.1],
      "corruption": ["masking"],
    },
    both | {"objective": ["vae"]},
  ]
  return folder, make(folder, dataset, settings, SHOWN)


def test_the_page_of_images(images):
  _, page = images
  check_safe(page)
  assert page.headings == [
    "The best trials",
    "Latent size and strength",
    "All trials",
    "Learning curves",
    "Evaluation",
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
  folder, page = images
  with (folder / results.RESULTS).open(newline="") as file:
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
  assert len(shown) == len(rows) == 14
  for line in shown:
    for name, value in zip(titles, line, strict=False):
      if name != "udr":  # of several trials, on the page only
        assert value == rows[line[0]][name]


def test_another_metric_says_what_is_best(images, tmp_path):
  folder = tmp_path / "out"
  shutil.copytree(images[0], folder)
  dataset = dataset_of(folder)
  page = ParsedPage(report.write(folder, dataset, by="test_probe_accuracy"))
  check_safe(page)
  text = " ".join(" ".join(page.words).split())
  for words in (
    "validation probe accuracy PCA the data",
    "precision at 10",
    "dead units",
  ):
    assert words in text
  assert "By test probe accuracy, mean" in text
  assert "chosen by test_probe_accuracy, on the test set" in text.lower()
  assert any("relative_jacobian_norm" in alt for alt in page.pictures)


@pytest.mark.slow
def test_a_page_of_500_trials(images, tmp_path, monkeypatch):
  folder = tmp_path / "out"
  shutil.copytree(images[0], folder)
  row = [*results.read_rows(folder).values()][0]
  many = []
  for i in range(486):
    many.append(
      row | {"id": f"{i:010x}", "validation_squared_error": str(99.0 + i)}
    )
    many[-1] |= {name: str(RNG.normal()) for name in METRICS if name not in row}
  results.add_rows(folder, many)
  history = {"loss": RNG.normal(size=100), "reconstruction": np.ones(100)}
  curves.write(folder, many[0]["id"], history, {})
  of = f"{curves.CURVES}/{{}}.csv".format
  for other in many[1:]:
    shutil.copy(folder / of(many[0]["id"]), folder / of(other["id"]))
  monkeypatch.setattr(load, "finished", results.read_rows)
  dataset = dataset_of(folder)
  path = report.write(folder, dataset)
  assert path.stat().st_size < 10e6
  assert len([line for line in ParsedPage(path).cells if line]) > 500


def test_the_program_rebuilds_the_page(images, capsys):
  folder, page = images
  path = folder / report.REPORT
  path.unlink()
  program.main(["report.py", str(folder), "--by=train_squared_error"])
  assert capsys.readouterr().out == f"{path}\n"
  check_safe(ParsedPage(path))
  program.main(["report.py", str(folder)])
  assert ParsedPage(path).text == page.text


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
    (("{run}", "--by=metric_groups"), "there are loss, "),
    (("{run}", "--by=test_error"), "did you mean test_squared_error?"),
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


def test_content_and_style_are_swapped():
  digits = data.load()
  point = {"objective": "gvae", "latent_size": 3, "content": 0.4}
  (trained,) = run_sweep(
    [point | {"num_epochs": 1}], digits, metrics=(), progress=False
  )
  picture = generated.swaps(trained, examples.select_examples(digits))
  assert "(the first 1 of 3 units) in the style" in picture.caption

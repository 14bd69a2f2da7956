"""The folder of a run -> one HTML file."""

from pathlib import Path

import jinja2
import plotly.offline

from ae_jax.atomic import write_text
from ae_jax.data import Dataset
from ae_jax.diagnostics import diagnostics
from ae_jax.lookup import Modules
from ae_jax.report import evaluation, run_record, sections, trials
from ae_jax.report.blocks import Plot, Section
from ae_jax.report.run_record import RunRecord
from ae_jax.run_folder.folder import check_links


def write(
  folder: Path, path: Path, dataset: Dataset, by: str | None, modules: Modules
) -> Path:
  """Writes the page of a run, see `report.write`."""
  check_links(folder)
  dataset = dataset.without_anomalies()
  run = run_record.read(folder, dataset, by, modules)
  all_sections = [
    sections.best_trials(run),
    sections.by_latent_size(run),
    sections.all_trials(run),
    sections.learning_curves(run),
    evaluation.section(run),
    sections.each_objective(folder, dataset, run),
    sections.how_to_reproduce(run),
  ]
  shown = [section for section in all_sections if _has_content(section)]
  write_text(path, render(run, dataset, shown))
  return path


def render(run: RunRecord, dataset: Dataset, shown: list[Section]) -> str:
  """Lays the sections out; all text in them is escaped."""
  plots = [
    block
    for section in shown
    for block in (
      *section.blocks,
      *(b for p in section.parts for b in p.blocks),
    )
    if isinstance(block, Plot)
  ]
  environment = jinja2.Environment(
    loader=jinja2.PackageLoader("ae_jax.report", "."),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
  )
  num_ok = len(trials.ok(run.rows))
  return environment.get_template("template.html.jinja").render(
    title=f"Autoencoders on {dataset.name}",
    summary=(
      f"{len(run.rows)} trials: {num_ok} ok, {len(run.rows) - num_ok} diverged."
      f" {dataset.sizes} examples of shape"
      f" [{', '.join(map(str, dataset.train.shape[1:]))}]"
      + (", standardized." if dataset.standardization is not None else ".")
    ),
    warnings=diagnostics(run.rows, run.histories, dataset),
    sections=shown,
    plots=plots,
    plotly_js=plotly.offline.get_plotlyjs() if plots else "",
    # Plotly writes <, > and / of strings as \u003c, ... here.
    figures=[plot.figure.to_json() for plot in plots],
  )


def _has_content(section: Section) -> bool:
  always = section.title == sections.BEST_TRIALS
  return always or bool(section.blocks or section.parts)

"""The printed table picks the best and leaves out what failed."""

from ae_jax.cli.table import best_trials, format_table


def row(trial, error, *, objective="sparse", status="ok", size="2", seed="0"):
  return {
    "id": trial,
    "status": status,
    "diverged_step": "",
    "objective": objective,
    "latent_size": size,
    "seed": seed,
    "widths": "(64,)",
    "loss": "1.0",
    "validation_squared_error": error,
    "test_squared_error": "0.5",
    "pca_test_squared_error": "0.25",
  }


ROWS = [
  row("a", "2.0"),
  row("b", "1.0", seed="1"),
  row("c", "0.1", status="diverged"),
  row("d", "nan", status="diverged"),
  row("e", "3.0", size="10"),
  row("f", "4.0", objective="vae"),
  row("g", "5.0", objective="vae", size="3", status="diverged"),
]


def test_best_of_each_objective_and_size():
  assert [r["id"] for r in best_trials(ROWS)] == ["b", "e", "f"]


def test_table_shows_what_varies():
  lines = format_table(best_trials(ROWS), ROWS).splitlines()
  assert lines[1].split() == ["sparse", "2", "1", "0.5", "0.25", "b", "seed=1"]
  assert lines[0].index("settings") == lines[1].index("seed=1")
  assert lines[3].split() == ["vae", "2", "4", "0.5", "0.25", "f"]


def test_errors_in_small_units_keep_their_digits():
  """Data of scale 1e-6; of them a PCA that leaves nothing but rounding."""
  errors = {"test_squared_error": "3.1234e-12", "pca_test_squared_error": "0"}
  small = row("a", "4.5678e-12") | errors
  whole = row("b", "2e-12", size="9") | {
    "test_squared_error": "1e-12",
    "pca_test_squared_error": "7e-27",
  }
  lines = format_table([small, whole], [small, whole]).splitlines()
  assert lines[1].split()[2:5] == ["4.568e-12", "3.123e-12", "0"]
  assert lines[2].split()[2:5] == ["2e-12", "1e-12", "0"]


def test_without_a_validation_set_the_test_error_chooses():
  rows = [
    {k: v for k, v in r.items() if k != "validation_squared_error"}
    | {"test_squared_error": r["validation_squared_error"]}
    for r in ROWS
  ]
  best = best_trials(rows)
  assert [r["id"] for r in best] == ["b", "e", "f"]
  header, first, *_ = format_table(best, rows).splitlines()
  assert "validation" not in header
  assert first.split() == ["sparse", "2", "1", "0.25", "b", "seed=1"]


def test_table_of_nothing_but_failures_has_no_lines():
  failed = [r for r in ROWS if r["status"] == "diverged"]
  assert len(format_table(best_trials(failed), failed).splitlines()) == 1

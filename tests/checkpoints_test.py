"""Trained models come back from disk, or say that they are damaged."""

import os
import shutil

import jax
import numpy as np
import pytest

import ae_jax
from ae_jax import evaluation, grid
from ae_jax.engine.input_pipeline import InMemory
from ae_jax.engine.placement import Placement
from ae_jax.engine.program import compile_program
from ae_jax.engine.training_loop import train
from ae_jax.run_folder import checkpoints
from ae_jax.types import UsageError

X = np.random.default_rng(0).uniform(size=(40, 6)).astype(np.float32)
MANIFEST = "manifest.json"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
  """A finished run of two groups."""
  common = {"latent_size": (2, 5), "seed": (0, 1), "num_epochs": (1,)}
  points = ae_jax.grid.product(objective=("sparse",), strength=(0.1,), **common)
  points += ae_jax.grid.product(objective=("vae",), beta=(1.0,), **common)
  folder = tmp_path_factory.mktemp("run") / "out"
  return ae_jax.run_sweep(points, X, folder=folder, metrics=(), progress=False)


def test_a_model_that_was_found_is_not_written_again(
  tmp_path, monkeypatch, capsys
):
  points = [{"latent_size": 2, "num_epochs": 1, "seed": s} for s in (0, 1)]

  def sweep():
    return ae_jax.run_sweep(points, X, folder=tmp_path / "out", metrics=())

  def killed(*_):
    raise KeyboardInterrupt

  with monkeypatch.context() as patched:
    patched.setattr(evaluation, "evaluate_group", killed)
    with pytest.raises(KeyboardInterrupt):
      sweep()
  (manifest,) = (tmp_path / "out").rglob(MANIFEST)
  written = manifest.stat().st_mtime_ns, manifest.stat().st_ino
  assert len(sweep()) == 2
  assert (manifest.stat().st_mtime_ns, manifest.stat().st_ino) == written
  assert "2 trials were trained before" in capsys.readouterr().err


def test_a_loaded_model_is_the_one_in_the_table(results):
  assert len(results.rows) == 8
  for row in results.rows:
    trained = ae_jax.load(results.folder, row["id"])
    assert trained.encode(X).shape == (40, row["latent_size"])
    error = np.sum((X - trained.reconstruct(X)) ** 2, axis=1)
    # The run held out a fifth and a tenth of the rest: 8 and 3 of 40.
    sizes = {"train": 29, "validation": 3, "test": 8}
    expected = sum(
      size / 40 * row[f"{part}_squared_error"] for part, size in sizes.items()
    )
    np.testing.assert_allclose(np.mean(error), expected, rtol=1e-4)


def load(folder, trial_ids):
  return [*checkpoints.load_groups(folder, trial_ids)]


def test_unknown_trial(results):
  with pytest.raises(UsageError, match="no trained trial 'abc'"):
    load(results.folder, ["abc"])


@pytest.fixture(scope="module")
def trained():
  """Two trials of one group."""
  trials = grid.resolve(
    [{"num_epochs": 2, "latent_size": size} for size in (3, 2)]
  )
  pipeline = InMemory(X)
  program = compile_program(trials, pipeline, Placement(1, 2))
  return train(program, trials, pipeline)


@pytest.fixture
def saved(trained, tmp_path, make_run):
  """They are on disk."""
  make_run(tmp_path)
  checkpoints.save(tmp_path, trained)
  return trained


def test_a_group_is_found_again_to_the_bit(saved, tmp_path):
  (found,) = load(tmp_path, saved.ids)
  assert found.ids == saved.ids
  assert found.settings == saved.settings
  assert found[-2:] == saved[-2:]
  jax.tree.map(
    np.testing.assert_array_equal,
    (found.params, found.history, found.diverged_at),
    (saved.params, saved.history, saved.diverged_at),
  )


def test_some_of_a_group_are_found(saved, tmp_path):
  (found,) = load(tmp_path, saved.ids[1:])
  assert found.ids == saved.ids[1:]
  jax.tree.map(
    np.testing.assert_array_equal, found.params, saved.select([1]).params
  )


FILES = [
  "params/_METADATA",
  "params/manifest.ocdbt",
  "params/d/*",
  "meta/metadata",
]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["truncated", "absent", "flipped"])
def test_damage_is_told_in_one_line(saved, tmp_path, file, damage):
  path, *_ = tmp_path.glob(f"{checkpoints.FOLDER}/*/*/{file}")
  content = path.read_bytes()
  middle = len(content) // 2
  match damage:
    case "truncated":
      path.write_bytes(content[:middle])
    case "absent":
      path.unlink()
    case "flipped":
      flipped = bytes([content[middle] ^ 1])
      path.write_bytes(content[:middle] + flipped + content[middle + 1 :])
  assert checkpoints.intact(tmp_path) == set()
  for ids in (saved.ids, saved.ids[1:]):
    with pytest.raises(UsageError, match="^the checkpoint in .* is damaged or"):
      load(tmp_path, ids)


def test_what_looks_as_it_was_written_is_read_only_if_it_is(saved, tmp_path):
  """A disk that rots changes neither sizes nor times."""
  path, *_ = tmp_path.glob(f"{checkpoints.FOLDER}/*/*/params/d/*")
  stat, content = path.stat(), bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
  assert checkpoints.intact(tmp_path) == {*saved.ids}
  with pytest.raises(UsageError, match="^the checkpoint in .* is damaged or"):
    load(tmp_path, saved.ids)


def test_a_copy_with_other_times_is_intact(saved, tmp_path):
  for path in (tmp_path / checkpoints.FOLDER).rglob("*"):
    os.utime(path, (1, 1))
  assert checkpoints.intact(tmp_path) == {*saved.ids}


def test_damage_elsewhere_hides_no_trial(saved, tmp_path):
  checkpoints.save(tmp_path, saved.select([0]))
  assert checkpoints.intact(tmp_path) == {*saved.ids}
  first, second = saved.ids
  (path,) = (
    path
    for path in (tmp_path / checkpoints.FOLDER).glob(
      "*/*/params/manifest.ocdbt"
    )
    if second in (path.parents[2] / MANIFEST).read_text()
  )
  path.unlink()
  assert checkpoints.intact(tmp_path) == {first}
  (found,) = load(tmp_path, [first])
  assert found.ids == [first]
  with pytest.raises(UsageError, match="is damaged"):
    load(tmp_path, [first, second])


@pytest.mark.parametrize("manifest", ["", "{}", "[]", "null", '{"trials": 3}'])
def test_a_damaged_manifest_names_nothing(saved, tmp_path, manifest):
  (path,) = tmp_path.glob(f"{checkpoints.FOLDER}/*/{MANIFEST}")
  path.write_text(manifest)
  assert checkpoints.intact(tmp_path) == set()
  with pytest.raises(UsageError, match="no trained trial"):
    load(tmp_path, saved.ids[:1])


def test_a_checkpoint_of_another_run_is_not_taken(saved, tmp_path, make_run):
  other = tmp_path / "other"
  make_run(other, [[3.0], [4.0], [5.0]])
  shutil.copytree(tmp_path / checkpoints.FOLDER, other / checkpoints.FOLDER)
  assert checkpoints.intact(other) == set()
  with pytest.raises(UsageError, match="or of another run;"):
    load(other, saved.ids[1:])


@pytest.mark.parametrize("change", ["shape", "type", "leaf"])
def test_a_checkpoint_of_other_networks_is_not_taken(saved, tmp_path, change):
  def changed(x):
    return x[..., :-1] if change == "shape" else x.astype(np.float16)

  params = jax.tree.map(changed, saved.params)
  if change == "leaf":
    params = {"decoder": saved.params["decoder"]}
  checkpoints.save(tmp_path, saved._replace(params=params))
  with pytest.raises(UsageError, match="is of other networks$"):
    load(tmp_path, saved.ids[1:])


@pytest.mark.parametrize("file", ["999", "*/_CHECKPOINT_METADATA"])
def test_all_that_orbax_reads_is_in_the_digest(saved, tmp_path, file):
  (directory,) = (tmp_path / checkpoints.FOLDER).iterdir()
  if file == "999":
    (directory / file).mkdir()
  else:
    (path,) = directory.glob(file)
    path.write_bytes(path.read_bytes()[:-3])
  assert checkpoints.intact(tmp_path) == set()
  with pytest.raises(UsageError, match="is damaged"):
    load(tmp_path, saved.ids[1:])


def test_a_checkpoint_that_cannot_be_written_is_an_os_error(
  saved, tmp_path, make_run
):
  make_run(tmp_path / "full")
  (tmp_path / "full" / checkpoints.FOLDER).write_text("no folder")
  with pytest.raises(OSError, match="cannot save"):
    checkpoints.save(tmp_path / "full", saved)

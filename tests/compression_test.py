"""Files that come back bit for bit, and what is no such file."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from small_coders import BITS, BYTES, POINT, train

import ae_jax
from ae_jax.cli import use
from ae_jax.compression import file as aej
from ae_jax.types import UsageError


@pytest.fixture(scope="module")
def trained():
  return train(BITS, num_epochs=30)


@pytest.fixture(scope="module")
def of_bytes():
  return train(BYTES, likelihood="logistic_mixture", num_epochs=30)


def again(trained, x, folder):
  source, target = folder / "x.aej", folder / "again.npy"
  size = aej.compress(trained, x, source)
  assert size == source.stat().st_size
  aej.decompress(trained, source, target)
  assert sorted(p.name for p in folder.iterdir()) == ["again.npy", "x.aej"]
  return np.load(target), size


@pytest.mark.parametrize("n", [1, 63, 64, 65, 297])
def test_any_number_of_examples_comes_back(trained, tmp_path, monkeypatch, n):
  monkeypatch.setattr(aej, "_MIN", 64)  # of a chain
  x = BITS[1500 : 1500 + n]
  y, _ = again(trained, x, tmp_path)
  assert y.tobytes() == x.tobytes()


@pytest.mark.parametrize("dtype", ["?", "u1", ">f8", "i4", "f2", ">i2"])
@pytest.mark.parametrize("one", [1, 77])
def test_any_type_comes_back(trained, tmp_path, dtype, one):
  x = (BITS[1500:1600] * one).astype(dtype)
  y, _ = again(trained, x, tmp_path)
  assert y.dtype == x.dtype
  assert y.tobytes() == x.tobytes()


@pytest.mark.parametrize("dtype", ["u1", ">i4", "f4", ">f8"])
def test_any_type_of_bytes_comes_back(of_bytes, tmp_path, dtype):
  x = BYTES[1500:1600].astype(dtype)
  if x.dtype.kind == "f":
    x /= 255
  y, _ = again(of_bytes, x, tmp_path)
  assert y.dtype == x.dtype
  assert y.tobytes() == x.tobytes()


def test_strange_bytes_come_back(of_bytes, tmp_path):
  rng = np.random.default_rng(0)
  for x in (
    np.zeros((9, 8, 8), np.uint8),
    np.full((9, 8, 8), 255, np.uint8),
    rng.integers(0, 256, (99, 8, 8), np.uint8),
  ):
    y, _ = again(of_bytes, x, tmp_path)
    assert y.tobytes() == x.tobytes()


@pytest.mark.parametrize(
  "settings",
  [
    {"network": "conv", "widths": (4,), "likelihood": "logistic_mixture"},
    pytest.param({"network": "conv", "widths": (4,)}, marks=pytest.mark.slow),
    pytest.param(
      {"network": "conv", "widths": (4, 8), "likelihood": "logistic_mixture"},
      marks=pytest.mark.slow,
    ),
    pytest.param(
      {"latent_size": 96, "likelihood": "logistic_mixture"},
      marks=pytest.mark.slow,
    ),
  ],
  ids=str,
)
def test_colors_come_back(tmp_path, monkeypatch, settings):
  monkeypatch.setattr(aej, "_BLOCK", 50)
  colors = np.stack([BYTES, 255 - BYTES, BYTES // 2], axis=-1)[..., :3]
  if "likelihood" not in settings:
    colors = np.where(colors > 100, np.uint8(255), np.uint8(0))
  points = [POINT | {"num_epochs": 1} | settings]
  (model,) = ae_jax.run_sweep(points, colors[:300], metrics=(), progress=False)
  x = colors[1500:1612]
  y, _ = again(model, x, tmp_path)
  assert y.tobytes() == x.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("name", ["trained", "of_bytes"])
def test_a_broken_model_loses_nothing(request, tmp_path, name, value):
  model = request.getfixturevalue(name)
  broken = jax.tree.map(lambda p: np.full_like(p, value), model.params)
  x = (BITS if name == "trained" else BYTES)[:70]
  y, _ = again(model._replace(params=broken), x, tmp_path)
  assert y.tobytes() == x.tobytes()


def test_data_that_change_meanwhile_are_one_line(trained, tmp_path):
  x = BITS[:100].copy()
  target = tmp_path / "x.aej"
  target.write_bytes(b"earlier")
  with pytest.raises(UsageError, match="changed while they were compressed"):
    aej.compress(trained, x, target, lambda number: x.fill(0))
  assert target.read_bytes() == b"earlier"


def test_blank_and_full_and_strange_images_come_back(trained, tmp_path):
  rng = np.random.default_rng(0)
  for x in (
    np.zeros((9, 8, 8)),
    np.ones((9, 8, 8)),
    rng.random((99, 8, 8)) < 0.5,
  ):
    y, _ = again(trained, x, tmp_path)
    assert y.tobytes() == x.tobytes()


def test_the_package_takes_paths_as_text(trained, tmp_path):
  source, target = str(tmp_path / "x.aej"), str(tmp_path / "again.npy")
  size = ae_jax.compression.compress(trained, BITS[:100], source)
  assert size == Path(source).stat().st_size
  assert ae_jax.compression.read_header(source)["shape"] == [100, 8, 8]
  ae_jax.compression.decompress(trained, source, target)
  np.testing.assert_array_equal(np.load(target), BITS[:100])


def test_without_its_coder_it_is_one_line(trained, tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "constriction", None)
  message = r"constriction is not installed: pip install 'ae_jax\[compression"
  with pytest.raises(UsageError, match=message):
    aej.compress(trained, BITS, tmp_path / "x.aej")


def test_several_blocks_come_back(trained, tmp_path, monkeypatch):
  monkeypatch.setattr(aej, "_BLOCK", 100)
  y, _ = again(trained, BITS, tmp_path)
  assert y.tobytes() == BITS.tobytes()


def test_a_file_is_as_large_as_the_bound_says(trained, tmp_path):
  x = np.tile(BITS[1500:], (100, 1, 1))
  _, size = again(trained, x, tmp_path)
  bound = trained.row["test_negative_elbo_nats"] / np.log(2) * len(x)
  # The lattice, and the first bits of 58 chains.
  assert 0.99 < 8 * size / bound < 1.03


def test_a_file_of_bytes_is_as_large_as_the_bound_says(of_bytes, tmp_path):
  x = np.tile(BYTES[1500:], (20, 1, 1))
  y, size = again(of_bytes, x, tmp_path)
  assert y.tobytes() == x.tobytes()
  bound = of_bytes.row["test_negative_elbo_nats"] / np.log(2) * len(x)
  assert 0.99 < 8 * size / bound < 1.02


RUNS = {"bernoulli": BITS, "logistic_mixture": BYTES}


@pytest.fixture(
  scope="module",
  params=[
    pytest.param("bernoulli", marks=pytest.mark.slow),
    "logistic_mixture",
  ],
)
def run_dir(request, tmp_path_factory):
  folder = tmp_path_factory.mktemp("run")
  np.save(folder / "x.npy", RUNS[request.param][:500])
  point = POINT | {"likelihood": request.param, "num_epochs": 2}
  ae_jax.run_sweep(
    [point | {"seed": seed} for seed in (0, 1)],
    folder / "x.npy",
    metrics=["likelihood"],
    folder=folder / "run",
    progress=False,
  )
  return folder


def test_another_process_gives_the_same(run_dir, capsys):
  run, source = str(run_dir / "run"), str(run_dir / "x.npy")
  packed, target = str(run_dir / "x.aej"), str(run_dir / "again.npy")
  use.main(["use.py", "compress", run, source, packed, "--where=seed=1"])
  words = capsys.readouterr().out
  assert "seed=1, validation_negative_elbo_nats=" in words
  assert "bits/dim" in words
  code = (
    "import jax, sys; jax.config.update('jax_num_cpu_devices', 2);"
    "from ae_jax.cli import use; use.main(['use.py', *sys.argv[1:]])"
  )
  subprocess.run(
    [sys.executable, "-c", code, "decompress", run, packed, target], check=True
  )
  x = np.load(source)
  assert (run_dir / "again.npy").read_bytes()[128:] == x.tobytes()
  np.testing.assert_array_equal(np.load(target), x)


def peak_of(*argv):
  """The most anonymous memory of a program, in bytes; no mapped files."""
  with subprocess.Popen([sys.executable, "-m", "ae_jax", *argv]) as process:
    peak = 0
    while process.poll() is None:
      with contextlib.suppress(ProcessLookupError):
        maps = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        for line in maps.splitlines():
          if line.startswith("Anonymous:"):
            peak = max(peak, 1024 * int(line.split()[1]))
      time.sleep(0.05)
  assert process.returncode == 0
  return peak


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(run_dir):
  run, trial = str(run_dir / "run"), "--where=seed=0"
  names = [str(run_dir / name) for name in ("long.npy", "x.aej", "again.npy")]
  peaks = []
  bits = np.load(run_dir / "x.npy") > 100
  for num_blocks in (2, 7):
    x = np.resize(bits, (num_blocks << 16, 8, 8)).astype(np.float64)
    np.save(names[0], x)
    packed = peak_of("compress", run, *names[:2], trial)
    peaks.append((packed, peak_of("decompress", run, *names[1:], trial)))
    np.testing.assert_array_equal(np.load(names[2], mmap_mode="r"), x)
  first, last = np.array(peaks)
  # Five blocks more are 168 MB as arrays; the rest is by chance.
  assert np.all(last - first < 40e6)


def test_another_model_is_one_line(run_dir, capsys):
  run, packed = str(run_dir / "run"), str(run_dir / "other.aej")
  use.main(
    [
      "use.py",
      "compress",
      run,
      str(run_dir / "x.npy"),
      packed,
      "--where=seed=0",
    ]
  )
  target = run_dir / "never.npy"
  with pytest.raises(SystemExit):
    use.main(
      ["use.py", "decompress", run, packed, str(target), "--where=seed=1"]
    )
  (line,) = capsys.readouterr().err.splitlines()[-1:]
  assert line.startswith("error:")
  assert "was made with another model" in line
  assert not target.exists()


@pytest.mark.parametrize(
  "x", [BITS * 0.5, BYTES - 1.0, BYTES.astype(int) + 1, BYTES * np.nan]
)
def test_what_are_no_bytes_is_one_line(of_bytes, tmp_path, x):
  with pytest.raises(UsageError, match="only bytes can be compressed"):
    aej.compress(of_bytes, x, tmp_path / "x.aej")
  assert not [*tmp_path.iterdir()]


def test_what_cannot_be_compressed_is_one_line(trained, tmp_path):
  target = tmp_path / "x.aej"
  for x, message in (
    (BITS * 0.5 + 0.1, "only data of two values"),
    (np.where(BITS > 0, 1.0, -0.0), "only data of two values"),
    (BITS[:, :4], "examples have shape"),
    (BITS[:0], "there is nothing to compress"),
    (BITS.astype(complex), "cannot be compressed"),
  ):
    with pytest.raises(UsageError, match=message):
      aej.compress(trained, x, target)
  (plain,) = ae_jax.run_sweep(
    [{"num_epochs": 1, "widths": ()}], BITS, metrics=(), progress=False
  )
  with pytest.raises(UsageError, match="needs a VAE with output bernoulli or"):
    aej.compress(plain, BITS, target)
  assert not list(tmp_path.iterdir())

"""The table of lossless coders, over images of one's own."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from experiments import coders

BYTES = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (4, 4, 4), (64,)])
def test_sizes_are_those_of_the_formats(shape):
  sizes = coders.standard_sizes(BYTES[:100].reshape(100, *shape))
  deflated = len(zlib.compress(BYTES[:100].tobytes(), 9))
  assert sizes["gzip"] == deflated + 12  # another header and checksum
  assert ("PNG, an image a file" in sizes) == (shape in ((8, 8), (8, 8, 1)))
  if "PNG, an image a file" in sizes:
    one = io.BytesIO()
    Image.fromarray(BYTES[0]).save(one, "PNG", optimize=True)
    own = coders.standard_sizes(BYTES[:1])["PNG, an image a file"]
    assert own == len(one.getvalue())


def test_bits_are_packed():
  bits = np.where(BYTES > 100, 255, 0).astype(np.uint8)
  noise = np.random.default_rng(0).integers(0, 2, bits.shape).astype(np.uint8)
  sizes = coders.standard_sizes(noise * 255)
  for name in coders.STRING_CODERS:  # noise cannot be made smaller
    assert 1 <= sizes[name] * 8 / bits.size < 1.05
  assert coders.standard_sizes(bits)["lzma"] < sizes["lzma"]


def test_a_coder_that_loses_is_told(monkeypatch):
  monkeypatch.setitem(coders.STRING_CODERS, "gzip", (lambda x: x[1:], bytes))
  with pytest.raises(RuntimeError, match="gzip does not give back"):
    coders.standard_sizes(BYTES)


@pytest.mark.slow
def test_the_table_of_own_images(tmp_path, capsys):
  np.save(tmp_path / "x.npy", BYTES[..., None])
  coders.main(
    [
      "coders.py",
      f"--workdir={tmp_path / 'both'}",
      f"--config.data.path={tmp_path / 'x.npy'}",
      "--config.fixed.num_epochs=20",
      "--config.fixed.widths=16",
      "--config.sweep.latent_size=4",
      "--config.metrics=('reconstruction', 'likelihood')",
    ]
  )
  table = (tmp_path / "both" / "coders.md").read_text()
  assert table.strip() in capsys.readouterr().out
  heading, _, *lines = (
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in table.splitlines()
  )
  rows = [dict(zip(heading, line, strict=True)) for line in lines]
  assert [row["data"] for row in rows] == ["binarized"] * 5 + ["bytes"] * 5
  for ours in (rows[4], rows[9]):
    assert ours["coder"].startswith("ae_jax, trial ")
    # 360 images in one chain, which pays for a header of 500 bytes.
    excess = float(ours["bits/dim"]) - float(ours["its -ELBO"])
    assert 0 < excess < 0.4
  assert not [*(tmp_path / "both").rglob("test.npy")]


@pytest.mark.parametrize(
  ("argument", "message"),
  [
    ("--wrkdir=x", "unknown argument '--wrkdir=x'; allowed: --workdir"),
    ("run", "unknown argument 'run'"),
  ],
)
def test_a_mistake_is_one_line(capsys, argument, message):
  with pytest.raises(SystemExit) as raised:
    coders.main(["coders.py", argument])
  assert raised.value.code == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("error: ")
  assert message in line

"""The commands that use a trained model: what they write, and every mistake."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ae_jax
from ae_jax import density
from ae_jax.cli import use, use_flags

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(size=(1100, 6, 5)).astype(np.float32)
FLAT = RNG.normal(size=(40, 36)).astype(np.float32)
VAE = "--where=objective=vae,latent_size=3"


@pytest.fixture
def call(runs, tmp_path, monkeypatch, capsys):
  """Calls a command on a run, from a folder of its own."""
  monkeypatch.chdir(tmp_path)
  np.save("x.npy", IMAGES)

  def call(command, *arguments, run="images"):
    code = 0
    try:
      use.main(["use.py", command, str(runs / run), *arguments])
    except SystemExit as exit:
      code = exit.code
    out, err = capsys.readouterr()
    return code, out, err

  return call


@pytest.fixture
def vae(runs):
  return ae_jax.load(runs / "images", objective="vae", latent_size=3)


def test_encode_decode_and_reconstruct_write_what_the_model_gives(call, vae):
  code, out, err = call("encode", "x.npy", "z.npy", VAE)
  assert code == 0, err
  assert out.splitlines() == [
    f"trial {vae.row['id']}: objective=vae, latent_size=3, seed=0,"
    " validation_squared_error="
    f"{vae.row['validation_squared_error']:.4g}",
    "wrote z.npy: float32 [1100, 3]",
  ]
  z = np.load("z.npy")
  np.testing.assert_array_equal(z, vae.encode(IMAGES))
  assert call("decode", "z.npy", "y.npy", VAE)[0] == 0
  np.testing.assert_array_equal(np.load("y.npy"), vae.decode(z))
  code, _, err = call(
    "reconstruct", "x.npy", "again.npy", f"--trial={vae.row['id']}"
  )
  assert code == 0, err
  np.testing.assert_array_equal(np.load("again.npy"), np.load("y.npy"))
  assert {*Path.cwd().iterdir()} == {
    Path.cwd() / f"{name}.npy" for name in ("x", "z", "y", "again")
  }


def test_python_command_line_and_a_fresh_process_agree(call, vae):
  assert call("encode", "x.npy", "z.npy", VAE)[0] == 0
  code, out, err = call("export", "folder", VAE)
  assert code == 0, err
  assert out.count("wrote folder/") == 5
  outside = (
    "import sys; sys.modules.update(dict.fromkeys(('ae_jax', 'flax')))\n"
    "import numpy as np; from pathlib import Path; from jax import export\n"
    "encode = Path('folder/encode.stablehlo').read_bytes()\n"
    "x = np.load('x.npy'); z = export.deserialize(encode).call(x)\n"
    "np.save('outside.npy', z)\n"
  )
  subprocess.run([sys.executable, "-W", "error", "-c", outside], check=True)
  # One piece of 1100 rows against batches: sums in another order.
  close = {"rtol": 1e-5, "atol": 1e-6}
  outside = np.load("outside.npy")
  np.testing.assert_allclose(outside, vae.encode(IMAGES), **close)
  np.testing.assert_allclose(outside, np.load("z.npy"), **close)


def test_every_kind_of_input(call, vae):
  pixels = (IMAGES[:3] * 255).round().astype(np.uint8)
  expected = vae.encode(pixels.astype(np.float32) / 255)
  np.savez("two.npz", x=pixels / 255, y=np.arange(3))
  np.savez("one.npz", pixels / 255)
  np.save("float64.npy", pixels / 255)
  np.save("fortran.npy", np.asfortranarray(pixels / 255))
  np.save("swapped.npy", (pixels / 255).astype(">f4"))
  Image.fromarray(pixels[0]).save("gray.png")
  Image.fromarray(pixels[0]).convert("RGBA").save("color.png")
  np.save("none.npy", pixels[:0])
  for name, num_rows in {
    "two.npz": 3, "one.npz": 3, "float64.npy": 3, "fortran.npy": 3,
    "swapped.npy": 3, "gray.png": 1, "color.png": 1, "none.npy": 0,
  }.items():  # fmt: skip
    code, _, err = call("encode", name, "z.npy", VAE)
    assert code == 0, err
    z = np.load("z.npy")
    assert z.shape == (num_rows, 3)
    np.testing.assert_allclose(z, expected[:num_rows], rtol=1e-5, atol=1e-6)


def test_samples_like_data_of_any_model(call, vae):
  x = np.load("x.npy")
  code, _, err = call("sample", "s.npy", "--num=5", "--like=x.npy", VAE)
  assert code == 0, err
  z = density.sample_codes(vae.encode(x), 5, seed=0)
  np.testing.assert_allclose(np.load("s.npy"), vae.decode(z), rtol=1e-6)


def test_samples(call, vae):
  code, _, err = call("sample", "s.npy", "--num=9", "--seed=4", VAE)
  assert code == 0, err
  np.testing.assert_array_equal(np.load("s.npy"), vae.sample(9, seed=4))
  code, out, err = call("sample", "s.png", "--num=9", "--seed=4", VAE)
  assert code == 0, err
  assert "9 of 9 images; 0 is black, 1 white" in out
  # 6 x 5 pixels, magnified 9 times, 3 by 3 with gaps of 4.
  page = np.asarray(Image.open("s.png"))
  assert page.shape == (3 * 58 + 4, 3 * 49 + 4)
  middles = page[4 + 4 :: 58, 4 + 4 :: 49]
  corner = np.clip(vae.sample(9, seed=4)[:, 0, 0].reshape(3, 3), 0, 1)
  np.testing.assert_allclose(middles, corner * 255, atol=0.5)


def test_originals_stand_above_reconstructions(call, vae):
  code, out, err = call("reconstruct", "x.npy", "r.png", VAE)
  assert code == 0, err
  assert "64 of 1100 originals" in out
  page = np.asarray(Image.open("r.png"))
  assert page.shape == (8 * 58 + 4, 16 * 49 + 4)
  middles = page[4 + 4 :: 58, 4 + 4 :: 49] / 255
  again = np.clip(vae.reconstruct(IMAGES[:64]), 0, 1)
  for first, images in ((0, IMAGES[:64]), (1, again)):
    corners = images[:, 0, 0].reshape(4, 16)
    np.testing.assert_allclose(middles[first::2], corners, atol=0.5 / 255)


def test_search_finds_the_nearest_codes(call, vae):
  np.save("queries.npy", IMAGES[:5])
  code, out, err = call("search", "queries.npy", "x.npy", "f", "--num=3", VAE)
  assert code == 0, err
  z = vae.encode(IMAGES).astype(np.float64)
  all_distances = np.sqrt(((z[:5, None] - z[None]) ** 2).sum(axis=-1))
  distances, indices = np.load("f/distances.npy"), np.load("f/indices.npy")
  assert indices.dtype.kind == "i"
  np.testing.assert_array_equal(indices[:, 0], np.arange(5))
  np.testing.assert_array_equal(
    indices, np.argsort(all_distances, axis=1)[:, :3]
  )
  # Codes are float32: a distance to oneself is the root of a rounding error.
  np.testing.assert_allclose(
    distances, np.sort(all_distances, axis=1)[:, :3], rtol=1e-5, atol=1e-5
  )
  assert "found.png: 5 of 5 queries" in out
  page = np.asarray(Image.open("f/found.png"))
  assert page.shape == (5 * 58 + 4, 4 * 49 + 4 + 16)
  query, found = page[8::58, 8] / 255, page[8::58, 8 + 49 + 16] / 255
  np.testing.assert_allclose(query, IMAGES[:5, 0, 0], atol=0.5 / 255)
  np.testing.assert_array_equal(query, found)


def test_search_of_vectors_draws_nothing(call):
  np.save("v.npy", FLAT)
  code, out, err = call("search", "v.npy", "v.npy", "f", "--num=40", run="flat")
  assert code == 0, err
  assert "no picture: data of shape (36,) are no images" in out
  assert {path.name for path in Path("f").iterdir()} == {
    "indices.npy", "distances.npy"
  }  # fmt: skip
  rows = np.sort(np.load("f/indices.npy"), axis=1)
  np.testing.assert_array_equal(rows, np.tile(np.arange(40), (40, 1)))


def test_an_output_is_replaced_only_by_a_whole_one(call, vae):
  np.save("z.npy", IMAGES[0])
  bad = IMAGES.copy()
  bad[1070, 2, 2] = np.inf
  np.save("inf.npy", bad)
  assert call("encode", "inf.npy", "z.npy", VAE)[0] == 2
  np.testing.assert_array_equal(np.load("z.npy"), IMAGES[0])
  assert call("encode", "x.npy", "z.npy", VAE)[0] == 0
  np.testing.assert_array_equal(np.load("z.npy"), vae.encode(IMAGES))


def test_an_interrupt_leaves_nothing(call, monkeypatch):
  def interrupted(self, x):
    yield np.zeros((4, 3), np.float32)
    raise KeyboardInterrupt

  monkeypatch.setattr(
    ae_jax.run_folder.load.Trained, "encode_batches", interrupted
  )
  code, _, err = call("encode", "x.npy", "z.npy", VAE)
  assert code == 130
  assert err == "\ninterrupted: no file was left half-written\n"
  assert [path.name for path in Path.cwd().iterdir()] == ["x.npy"]


@pytest.mark.parametrize(
  "command", ["encode", "decode", "reconstruct", "sample", "search", "export"]
)
def test_help_has_an_example_that_parses(command, capsys):
  with pytest.raises(SystemExit) as raised:
    use.main(["use.py", command, "--help"])
  assert raised.value.code == 0
  out, _ = capsys.readouterr()
  (example,) = re.findall(r"example: ./launch.sh (.*)", out)
  assert use_flags.parse(["use.py", *example.split()]).command == command


def test_settings_of_the_command_line():
  parse = use_flags.parse
  text = "objective=my_module:loss,widths=64,32,strength=1e-3,corruption=a b"
  where = parse(["x", "export", "run", "to", f"--where={text}"]).where
  assert where == {
    "objective": "my_module:loss",
    "widths": (64, 32),
    "strength": 0.001,
    "corruption": "a b",
  }

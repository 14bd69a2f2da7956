"""The commands that use a trained model: every mistake is one line."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ae_jax.cli import use

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(size=(1100, 6, 5)).astype(np.float32)
FLAT = RNG.normal(size=(40, 36)).astype(np.float32)
VAE = "--where=objective=vae,latent_size=3"

MISTAKES = {
  "no run": (["encode", "{}/no", "x.npy", "z.npy"], "no holds no run"),
  "no trial": (
    ["encode", "{}/images", "x.npy", "z.npy", "--trial=abc"],
    "no trial 'abc'",
  ),
  "no column": (
    ["encode", "{}/images", "x.npy", "z.npy", "--by=tset"],
    "no column 'tset'",
  ),
  "no such setting": (
    ["encode", "{}/images", "x.npy", "z.npy", "--where=latent_size=4"],
    "latent_size=4; the values are 2, 3",
  ),
  "settings": (
    ["encode", "{}/images", "x.npy", "z.npy", "--where=vae"],
    "--where: give NAME=VALUE.*'vae'",
  ),
  "no file": (["encode", "{}/images", "no.npy", "z.npy"], "read no.npy: No su"),
  "a folder": (["encode", "{}/images", ".", "z.npy"], r"read \.: Is a direct"),
  "shape": (
    ["encode", "{}/images", "flat.npy", "z.npy"],
    r"flat.npy: the data must have shape \[n, 6, 5\]; got \(40, 36\)",
  ),
  "a number": (["encode", "{}/images", "3.npy", "z.npy"], r"float64.*\(\)"),
  "shape of a picture": (
    ["reconstruct", "{}/images", "flat.npy", "r.png"],
    r"flat.npy: the data must have shape \[n, 6, 5\]",
  ),
  "shape of a gallery": (
    ["search", "{}/images", "x.npy", "flat.npy", "f"],
    r"flat.npy: the data must have shape \[n, 6, 5\]",
  ),
  "overflow in a picture": (
    ["reconstruct", "{}/images", "huge.npy", "r.png"],
    "huge.npy: row 0 of the data.*infinite",
  ),
  "type": (["encode", "{}/images", "words.npy", "z.npy"], "words.*type <U1"),
  "NaN": (["encode", "{}/images", "nan.npy", "z.npy"], "nan.npy: row 1070 of"),
  "NaN in a search": (
    ["search", "{}/images", "x.npy", "nan.npy", "f"],
    "nan.npy: row 1070 of",
  ),
  "pickle": (["encode", "{}/images", "object.npy", "z.npy"], "Python objects"),
  "pickle in npz": (["encode", "{}/images", "o.npz", "z.npy"], "Python objec"),
  "damaged": (["encode", "{}/images", "short.npy", "z.npy"], "is damaged"),
  "damaged header": (
    ["encode", "{}/images", "header.npy", "z.npy"],
    "header.npy, which is damaged",
  ),
  "damaged png": (["encode", "{}/images", "bad.png", "z.npy"], "read bad.png"),
  "arrays": (["encode", "{}/images", "ab.npz", "z.npy"], "'a', 'b'.*named x"),
  "text": (["encode", "{}/images", "text.txt", "z.npy"], "text.txt is no .npy"),
  "image of another size": (
    ["encode", "{}/images", "big.png", "z.npy"],
    "big.png is 7 pixels high and 8 wide; the data is 6 and 5",
  ),
  "16 bits": (["encode", "{}/images", "deep.png", "z.npy"], "16 bits"),
  "image of vectors": (
    ["encode", "{}/flat", "big.png", "z.npy"],
    r"big.png is an image; the data has shape \(36,\)",
  ),
  "picture of codes": (
    ["encode", "{}/images", "x.npy", "z.png"],
    "end in .npy",
  ),
  "picture of vectors": (
    ["reconstruct", "{}/flat", "flat.npy", "r.png"],
    r"needs images.*shape \(36,\)",
  ),
  "picture of decoded vectors": (
    ["decode", "{}/flat", "codes.npy", "r.png"],
    r"needs images.*shape \(36,\)",
  ),
  "picture of nothing": (
    ["reconstruct", "{}/images", "none.npy", "r.png"],
    "nothing to draw in r.png",
  ),
  "codes": (
    ["decode", "{}/images", "x.npy", "y.npy"],
    r"codes must.*\[n, \d\]",
  ),
  "no VAE": (
    ["sample", "{}/images", "s.png", "--where=objective=autoencoder"],
    "autoencoder has no prior",
  ),
  "number": (["sample", "{}/images", "s.png", "--num=0"], "above 0; got '0'"),
  "seed": (
    ["sample", "{}/images", "s.png", VAE, "--seed=-1"],
    "seed must be in",
  ),
  "neighbors": (
    ["search", "{}/flat", "flat.npy", "flat.npy", "f", "--num=41"],
    "--num=41 is more than the 40 rows of flat.npy",
  ),
  "nothing to search for": (
    ["search", "{}/images", "none.npy", "x.npy", "f"],
    "none.npy has no rows",
  ),
  "search in a file": (
    ["search", "{}/images", "x.npy", "x.npy", "text.txt"],
    "text.txt: it is no folder",
  ),
  "input as output": (["encode", "{}/images", "x.npy", "x.npy"], "the input"),
  "no folder": (["encode", "{}/images", "x.npy", "no/z.npy"], "no folder no"),
  "a folder as output": (["encode", "{}/images", "x.npy", "d.npy"], "a folder"),
  "unwritable": (
    ["encode", "{}/images", "x.npy", "/proc/z.npy"],
    "cannot write /proc/z.npy",
  ),
  "unwritable search": (
    ["search", "{}/images", "x.npy", "x.npy", "/proc/f"],
    "cannot make /proc/f",
  ),
  "unwritable export": (
    ["export", "{}/images", "/proc/f"],
    "cannot write to /proc/f",
  ),
  "export to other files": (
    ["export", "{}/images", "."],
    "holds other files.*name a new folder",
  ),
  "no command": ([], "required: COMMAND"),
  "unknown command": (["encde"], "'encde'.*encode"),
  "missing argument": (["encode", "{}/images"], "required: INPUT, OUTPUT"),
  "unknown flag": (
    ["encode", "{}/images", "x.npy", "z.npy", "--trail=3"],
    "--trail=3",
  ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_written(
  mistake, runs, tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  np.save("x.npy", IMAGES)
  np.save("flat.npy", FLAT)
  np.save("codes.npy", np.zeros((3, 3)))
  np.save("none.npy", IMAGES[:0])
  np.save("3.npy", 3.0)
  np.save("huge.npy", np.full((2, 6, 5), 1e300))
  np.save("words.npy", np.full((2, 6, 5), "a"))
  bad = IMAGES.copy()
  bad[1070, 2, 2] = np.nan
  np.save("nan.npy", bad)
  objects = np.array([{}, {}])
  np.save("object.npy", objects, allow_pickle=True)
  np.savez("o.npz", x=objects)
  np.savez("ab.npz", a=FLAT, b=FLAT)
  Path("short.npy").write_bytes(Path("x.npy").read_bytes()[:-100])
  Path("header.npy").write_bytes(
    Path("x.npy").read_bytes().replace(b"}", b" ", 1)
  )
  Path("text.txt").write_text("1 2 3")
  Image.fromarray(np.zeros((7, 8), np.uint8)).save("big.png")
  Image.fromarray(np.zeros((6, 5), np.uint16)).save("deep.png")
  Path("bad.png").write_bytes(Path("big.png").read_bytes()[:20])
  Path("d.npy").mkdir()
  before = {path: path.stat() for path in Path.cwd().rglob("*")}
  arguments, message = MISTAKES[mistake]
  with pytest.raises(SystemExit) as raised:
    use.main(["use.py", *(text.format(runs) for text in arguments)])
  assert raised.value.code == 2
  _, err = capsys.readouterr()
  assert err.startswith("error: ")
  assert err.count("\n") == 1
  assert len(err) < 450
  assert re.search(message, err), err
  after = {path: path.stat() for path in Path.cwd().rglob("*")}
  assert after.keys() == before.keys()
  for path, stat in after.items():
    if path.is_file():
      assert stat.st_mtime_ns == before[path].st_mtime_ns

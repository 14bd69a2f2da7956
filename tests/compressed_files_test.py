"""Altered `.aej` files are one line, or decode to what was encoded."""

import hashlib
import json

import jax
import numpy as np
import pytest
from small_coders import BITS, BYTES, train

from ae_jax.compression import file as aej
from ae_jax.types import UsageError


@pytest.fixture(scope="module")
def trained():
  return train(BITS, num_epochs=1)


@pytest.fixture(scope="module")
def of_bytes():
  return train(BYTES, likelihood="logistic_mixture", num_epochs=1)


def sealed(content):
  return content + hashlib.sha256(content).digest()


def alterations(whole, rng):
  """Endless files that are not what `compress` wrote."""
  inside, length = whole[:-32], int.from_bytes(whole[6:10], "little")
  header = json.loads(inside[10 : 10 + length])
  while True:
    kind = rng.integers(6)
    at = int(rng.integers(len(whole)))
    if kind == 0:
      yield whole[:at]
    elif kind == 1:
      flipped = bytearray(whole)
      flipped[at] ^= 1 << rng.integers(8)
      yield bytes(flipped)
    elif kind == 2:
      yield rng.bytes(at)
    elif kind == 3:  # sealed anew, cut or with random words
      yield sealed(inside[: min(at, len(inside) - 1)])
    elif kind == 4:
      at = min(max(at, 10 + length), len(inside) - 8)
      yield sealed(inside[:at] + rng.bytes(8) + inside[at + 8 :])
    else:
      name = list(header)[rng.integers(len(header))]
      value = [None, -1, 0, "x", [], [1 << 60, 8, 8], {}, 1e400, "|O", 1 << 70]
      value += [
        "(,2)f4",
        "(2,3",
        [60_000, 8, 8],
        2**63,
        1e308,
        -1.0,
        True,
        "i8",
      ]
      value += [[1.0], "\n\x1b[2J", [[[]]]]
      text = json.dumps(header | {name: value[rng.integers(len(value))]})
      if rng.random() < 0.05:
        text = "[" * 60_000
      size = len(text).to_bytes(4, "little")
      yield sealed(inside[:6] + size + text.encode() + inside[10 + length :])


def refusal(trained, source, target):
  try:
    aej.decompress(trained, source, target)
  except UsageError as error:
    return str(error)
  return ""


@pytest.mark.parametrize(
  ("model", "x"),
  [("trained", BITS), ("of_bytes", BYTES)],
  ids=["bits", "bytes"],
)
@pytest.mark.parametrize(
  "number", [60, pytest.param(10_000, marks=pytest.mark.slow)]
)
def test_an_altered_file_is_one_line(request, tmp_path, model, x, number):
  trained = request.getfixturevalue(model)
  source, target = tmp_path / "x.aej", tmp_path / "again.npy"
  x = x[1500:1600]
  aej.compress(trained, x, source)
  whole = aej.read_header(source)
  altered = alterations(source.read_bytes(), np.random.default_rng(0))
  for _ in range(number):
    source.write_bytes(next(altered))
    message = refusal(trained, source, target)
    if message:
      assert len(message.splitlines()) == 1
      assert [p.name for p in tmp_path.iterdir()] == ["x.aej"]
    else:  # what wrote it is all that may be another
      writer = {"made_by": "x", "trial": "x"}
      assert aej.read_header(source) | writer == whole | writer
      assert np.load(target).tobytes() == x.tobytes()
      target.unlink()


def test_a_short_file_is_no_promise_of_many_examples(of_bytes, tmp_path):
  source, decoded = tmp_path / "x.aej", []
  aej.compress(of_bytes, BYTES[:9], source)
  whole = source.read_bytes()
  length = int.from_bytes(whole[6:10], "little")
  header = json.loads(whole[10 : 10 + length]) | {"shape": [60_000, 8, 8]}
  text = json.dumps(header).encode()
  inside = whole[:6] + len(text).to_bytes(4, "little") + text
  source.write_bytes(sealed(inside + whole[10 + length : -32]))
  with pytest.raises(UsageError, match="does not come out as it went in"):
    aej.decompress(of_bytes, source, tmp_path / "y.npy", decoded.append)
  assert sum(decoded) < 100


def test_what_decodes_to_other_data_is_one_line(trained, tmp_path, monkeypatch):
  source, target = tmp_path / "x.aej", tmp_path / "again.npy"
  aej.compress(trained, BITS[:100], source)
  nudged = jax.tree.map(lambda p: p + np.float32(1e-2), trained.params)
  monkeypatch.setattr(aej, "model_digest", lambda _: digest)
  digest = aej.read_header(source)["model"]
  with pytest.raises(UsageError, match="does not come out as it went in"):
    aej.decompress(trained._replace(params=nudged), source, target)
  assert not target.exists()

"""A TFDS builder -> its files on disk: once, locked, with one-line errors."""

import contextlib
import fcntl
import io
import pathlib
import sys
import textwrap
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import tensorflow_datasets as tfds
from absl import logging
from tensorflow_datasets.core.download import resource

from ae_jax.atomic import open_lock
from ae_jax.data import mnist
from ae_jax.types import UsageError

_TIMEOUT_SECONDS = 10


def prepare(
  builder: tfds.core.DatasetBuilder, download_dir: pathlib.Path | None
) -> None:
  """Downloads and prepares a dataset as array_record, if nobody has yet.

  Processes that prepare the same dataset at once wait for the first of them.

  Args:
    builder: what to prepare, into its `data_dir`.
    download_dir: a TFDS download cache that holds the files already. None
      downloads them into `downloads/` of the data folder.

  Raises:
    UsageError: at files that cannot be had, a missing library, and whatever
      else keeps the builder from its work.
  """
  if is_prepared(builder):
    return
  root = pathlib.Path(builder.data_dir_root)
  with contextlib.ExitStack() as stack:
    try:
      stack.enter_context(locked(builder))
    except OSError as error:
      raise UsageError(
        f"cannot write to data.data_dir={root}: {error.strerror}"
      ) from error
    if is_prepared(builder):
      return
    if pathlib.Path(builder.data_dir).exists():
      raise UsageError(f"{builder.data_dir} holds no dataset: delete it")
    _check_files(builder, download_dir)
    sys.stderr.write(f"preparing {builder.name} in {root} (once)\n")
    config = tfds.download.DownloadConfig(
      extract_dir=root / "downloads" / "extracted", try_download_gcs=False
    )
    try:
      with quiet():
        builder.download_and_prepare(
          download_dir=download_dir,
          download_config=config,
          file_format="array_record",
        )
    except Exception as error:  # builders fail in every way there is
      raise UsageError(explain(builder.name, error)) from error


@contextlib.contextmanager
def locked(builder: tfds.core.DatasetBuilder) -> Iterator[None]:
  """Keeps other processes from preparing the same dataset.

  Raises:
    OSError: nothing can be written where datasets are prepared.
  """
  root = pathlib.Path(builder.data_dir_root)
  root.mkdir(parents=True, exist_ok=True)
  with open_lock(root / f".{builder.name}.lock") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)  # closing the file gives it back
    yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Keeps TFDS's bars, prints and warnings from the terminal."""
  tfds.disable_progress_bar()
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      yield
  finally:
    logging.set_verbosity(verbosity)


def explain(name: str, error: Exception) -> str:
  """Says in one line why TFDS failed at a dataset."""
  cause: BaseException | None = error
  while cause is not None:
    if isinstance(cause, ImportError) and cause.name:
      package = cause.name.partition(".")[0]
      if package == "tensorflow":
        return (
          f"TFDS needs TensorFlow to prepare {name} (once): pip install "
          "'ae_jax[tensorflow]', or EXTRAS=tensorflow ./launch.sh ..."
        )
      return f"TFDS needs the package {package} for {name}: install it"
    cause = cause.__cause__ or cause.__context__
  reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300)
  return f"TFDS cannot provide {name}: {reason}"


@quiet()
def is_prepared(builder: tfds.core.DatasetBuilder) -> bool:
  """Whether a dataset is on disk, to be read."""
  return builder.is_prepared()


def _check_files(
  builder: tfds.core.DatasetBuilder, download_dir: pathlib.Path | None
) -> None:
  """Fails at once where TFDS would retry a hopeless download for minutes."""
  if download_dir is not None and not download_dir.is_dir():
    raise UsageError(f"data.download_dir={download_dir} is not a folder")
  folder = download_dir or pathlib.Path(builder.data_dir_root) / "downloads"
  url_infos = builder.url_infos or {}
  missing = [
    url
    for url, info in url_infos.items()
    if not _is_cached(folder, builder.name, url, info.checksum)
  ]
  # Of another builder's files some may be for other configurations.
  needs_all = isinstance(builder, mnist.IdxBuilder)
  if not missing or not (needs_all or len(missing) == len(url_infos)):
    return
  if download_dir is not None:
    raise UsageError(
      f"data.download_dir={download_dir} lacks {len(missing)} of "
      f"{len(url_infos)} files of {builder.name}, the first from {missing[0]}"
    )
  _check_reachable(builder.name, missing[0])


def _is_cached(
  folder: pathlib.Path, name: str, url: str, checksum: str
) -> bool:
  file = resource.get_dl_fname(url, checksum)
  paths = folder / name / file, folder / file  # TFDS looks in both places
  return any(resource.is_locally_cached(path) for path in paths)


def _check_reachable(name: str, url: str) -> None:
  if not url.startswith("http"):
    return
  try:
    urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS).close()
  except urllib.error.HTTPError:
    return  # an answer, even if not the file: TFDS may know better
  except OSError as error:
    raise UsageError(
      f"cannot download {name}: {urllib.parse.urlsplit(url).netloc} does not "
      f"answer ({error}); without network, point data.download_dir at a TFDS "
      "download cache that holds its files"
    ) from error

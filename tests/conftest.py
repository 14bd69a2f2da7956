"""Settings for every test."""

import gc
import importlib.metadata
import os

# Test processes share the cores: threads of NumPy and scikit-learn would wait
# for each other, which takes most of the time of small matrices.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
  os.environ.setdefault(name, "1")
# Several test processes share a GPU, where there is one.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# Most of a test is compiling; JAX_DISABLE_MOST_OPTIMIZATIONS=0 tests programs
# as they are for users.
if "JAX_DISABLE_MOST_OPTIMIZATIONS" not in os.environ:
  os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
  if importlib.metadata.version("jaxlib").startswith("0.10."):  # gone in 0.12
    os.environ.setdefault(
      "XLA_FLAGS",
      "--xla_cpu_use_fusion_emitters=false"
      " --xla_cpu_parallel_codegen_split_count=1",
    )

import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

# [batch] + [latent] must not become a matrix by accident.
jax.config.update("jax_numpy_rank_promotion", "raise")
# Trials are spread over devices, as the programs do with the cores of a CPU.
jax.config.update("jax_num_cpu_devices", 2)
# A tenth of the time went to these: where in our code an operation was traced,
# and going through all that was imported for garbage.
jax.config.update("jax_traceback_in_locations_limit", 0)
gc.set_threshold(100_000, 50, 50)


def pytest_xdist_auto_num_workers():
  """One worker more than cores, for each of them waits at times."""
  cores = getattr(os, "sched_getaffinity", lambda pid: range(os.cpu_count()))
  return len(cores(0)) + 1


def pytest_collection_finish():
  """What is there now stays until the end."""
  gc.freeze()


@pytest.fixture(autouse=True)
def nan_is_meant(request):
  """Tests of what diverges run without JAX_DEBUG_NANS."""
  told = jax.config.jax_debug_nans
  with jax.debug_nans(told and not request.node.get_closest_marker("diverges")):
    yield


@pytest.fixture
def make_run():
  """Makes the folder of a run on some data, without a sweep."""
  from ae_jax import data
  from ae_jax.run_folder.folder import RunFolder

  def make_run(path, x=((0.0,), (1.0,), (2.0,))):
    x = np.array(x, np.float32)
    with RunFolder.open(path, data.from_arrays(x)):
      pass

  return make_run


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
  """Two runs: `images` with a VAE, and `flat` vectors."""
  import ae_jax

  rng = np.random.default_rng(0)
  images = rng.uniform(size=(1100, 6, 5)).astype(np.float32)
  flat = rng.normal(size=(40, 36)).astype(np.float32)
  folder = tmp_path_factory.mktemp("runs")
  for name, x, objectives in (
    ("images", images[:60], ("autoencoder", "vae")),
    ("flat", flat, ("autoencoder",)),
  ):
    points = ae_jax.grid.product(
      objective=objectives,
      latent_size=(2, 3),
      num_epochs=(1,),
      batch_size=(16,),
      widths=((),),
    )
    ae_jax.run_sweep(
      points, x, folder=folder / name, metrics=(), progress=False
    )
  return folder

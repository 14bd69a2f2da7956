"""The same training by others: PyTorch, torch.func and pythae.

Each peer trains a mirrored MLP of ours, from our initial weights, with Adam
and the batches of the same size:

- `torch`: an eager loop over `torch.nn.Linear` and `torch.optim.Adam`, the
  data in memory as float32, a batch by indexing with an order;
- `torch.func`: K such networks stacked, `vmap(grad(...))` over them, Adam on
  the stacked weights; a batch of its own for each;
- `pythae`: its `AE` with these layers as encoder and decoder, trained by
  `BaseTrainer.train_step`, an epoch as its users run it: its loader with the
  defaults (no worker processes), its collation, its progress bar (to nowhere);
  without the checkpoint, the copy of the best model and the log of each epoch.

Settings that are not named here are the defaults of these packages, the number
of threads included.
"""

import contextlib
import importlib.util
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import grid
from ae_jax.data import to_float
from ae_jax.program import build, stack
from ae_jax.types import Params, UsageError
from experiments.benchmarks.timing import Work

_STEPS_CHECKED = 20
# Sums in another order round differently: 1e-6 of the first loss. Adam then
# gives the sign of a gradient next to 0 a whole step: 1e-3 of a later loss.
_RTOL_FIRST, _RTOL = 1e-5, 5e-3


class UnequalWork(Exception):
  """A peer does not do what our program does; its time says nothing."""


class Peer(NamedTuple):
  """One way to train the same networks.

  Attributes:
    num_trials: networks that are trained at once.
    num_parameters: of one of them.
    losses: order `[num_trials, steps, batch]` -> loss `[num_trials, steps]`,
      as ours is defined; trains.
    train: trains all for that many steps.
  """

  num_trials: int
  num_parameters: int
  losses: Callable[[np.ndarray], np.ndarray]
  train: Work


def check_installed() -> None:
  """Raises UsageError unless PyTorch and pythae are there."""
  missing = [
    name
    for name in ("torch", "pythae")
    if importlib.util.find_spec(name) is None
  ]
  if missing:
    raise UsageError(
      f"--peers needs {' and '.join(missing)}, not installed here: run"
      " EXTRAS=peers ./launch.sh benchmark --peers"
    )


def versions() -> dict[str, Any]:
  """What the peers ran with."""
  import pythae
  import torch

  return {
    "torch": torch.__version__,
    "pythae": pythae.__version__,
    "torch_threads": torch.get_num_threads(),
    "torch_device": _device(),
  }


class Reference(NamedTuple):
  """Our networks, as the peers get them.

  Attributes:
    params: `[trials, ...]`, at initialisation.
    examples: `[n, d]` float32.
    learning_rate: of Adam.
    losses: as `Peer.losses`, always from `params`.
  """

  params: Params
  examples: np.ndarray
  learning_rate: float
  losses: Callable[[np.ndarray], np.ndarray]


def reference(points: list[grid.Point], data: np.ndarray) -> Reference:
  """Our weights, data and losses of a grid whose points share a program."""
  group = grid.resolve(points)
  one = build(group, data)
  keys, hyper = stack(group)
  state = jax.jit(jax.vmap(one.init))(keys, hyper)
  examples = np.asarray(to_float(data))

  @jax.jit
  @jax.vmap
  def losses(state, hyper, batches):
    return jax.lax.scan(
      lambda state, batch: one.step(state, batch, hyper), state, batches
    )[1]["loss"]

  return Reference(
    params=jax.tree.map(np.asarray, state.params),
    examples=examples,
    learning_rate=group[0].settings["learning_rate"],
    losses=lambda order: np.asarray(
      losses(state, hyper, jnp.asarray(examples[order]))
    ),
  )


def check_equal_work(name: str, peer: Peer, ours: Reference) -> None:
  """Compares parameters and losses; trains the peer for 20 steps.

  Raises:
    UnequalWork: the numbers of parameters, or the losses at any of the steps
      from the same weights on the same batches, differ.
  """
  leaves = jax.tree.leaves(ours.params)
  count = sum(leaf[0].size for leaf in leaves)
  if peer.num_parameters != count:
    raise UnequalWork(
      f"{name} has {peer.num_parameters} parameters, ours has {count}"
    )
  rng = np.random.default_rng(0)
  shape = (len(leaves[0]), _STEPS_CHECKED, 128)
  order = rng.integers(0, len(ours.examples), shape)
  expected = ours.losses(order)[: peer.num_trials]
  apart = np.abs(peer.losses(order[: peer.num_trials]) - expected) / expected
  for what, worst, allowed in (
    ("the first step", np.max(apart[:, 0]), _RTOL_FIRST),
    (f"{_STEPS_CHECKED} steps", np.max(apart), _RTOL),
  ):
    if not worst <= allowed:
      raise UnequalWork(
        f"the loss of {name} is {worst:.2g} of itself from ours in {what};"
        f" {allowed} is allowed"
      )


@contextlib.contextmanager
def all_peers(ours: Reference) -> Iterator[dict[str, Peer]]:
  """Every peer by its name; on disk only in a folder that goes at the end."""
  with tempfile.TemporaryDirectory() as folder:
    yield {
      "torch": eager(ours),
      "torch.func": stacked(ours),
      "pythae": pythae_trainer(ours, folder),
    }


def eager(ours: Reference) -> Peer:
  """One network in a plain PyTorch loop."""
  import torch

  model = torch.nn.Sequential(*_layers(_trial(ours.params))).to(_device())
  x = torch.tensor(ours.examples, device=_device())
  optimizer = torch.optim.Adam(model.parameters(), lr=ours.learning_rate)

  def step(indices: Any) -> Any:
    batch = x[indices]
    loss = 0.5 * ((model(batch) - batch) ** 2).sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()

  def losses(order: np.ndarray) -> np.ndarray:
    (indices,) = torch.tensor(order, device=_device())
    return np.array([[step(batch).item() for batch in indices]])

  count = sum(p.numel() for p in model.parameters())
  return Peer(1, count, losses, _training(step, (), len(x)))


def stacked(ours: Reference) -> Peer:
  """All networks at once, by torch.func."""
  import torch

  template = torch.nn.Sequential(*_layers(_trial(ours.params))).to(_device())
  num_trials = len(jax.tree.leaves(ours.params)[0])
  models = [
    torch.nn.Sequential(*_layers(_trial(ours.params, i))).to(_device())
    for i in range(num_trials)
  ]
  params, _ = torch.func.stack_module_state(models)
  x = torch.tensor(ours.examples, device=_device())
  optimizer = torch.optim.Adam(params.values(), lr=ours.learning_rate)

  def loss(params: Any, batch: Any) -> Any:
    decoded = torch.func.functional_call(template, params, (batch,))
    return 0.5 * ((decoded - batch) ** 2).sum(1).mean()

  gradients = torch.func.vmap(torch.func.grad_and_value(loss))

  def step(indices: Any) -> Any:
    detached = {name: p.detach() for name, p in params.items()}
    grads, values = gradients(detached, x[indices])
    for name, p in params.items():
      p.grad = grads[name]
    optimizer.step()
    return values

  def losses(order: np.ndarray) -> np.ndarray:
    indices = torch.tensor(order, device=_device()).unbind(1)
    return np.stack([step(i).cpu().numpy() for i in indices], axis=1)

  count = sum(p[0].numel() for p in params.values())
  return Peer(num_trials, count, losses, _training(step, (num_trials,), len(x)))


def pythae_trainer(ours: Reference, folder: str) -> Peer:
  """One network in pythae's own trainer."""
  import torch

  with _quiet():
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

  class Encoder(BaseEncoder):
    def __init__(self, layers: list[Any]):
      super().__init__()
      self.layers = torch.nn.Sequential(*layers)

    def forward(self, x: Any) -> Any:
      return ModelOutput(embedding=self.layers(x))

  class Decoder(BaseDecoder):
    def __init__(self, layers: list[Any]):
      super().__init__()
      self.layers = torch.nn.Sequential(*layers)

    def forward(self, z: Any) -> Any:
      return ModelOutput(reconstruction=self.layers(z))

  params = _trial(ours.params)
  num_features = ours.examples.shape[1]
  latent_size = params["decoder"]["latent"]["kernel"].shape[0]
  layers = _layers(params)
  split = 2 * len(params["encoder"]) - 1
  model = AE(
    AEConfig(input_dim=(num_features,), latent_dim=latent_size),
    Encoder(layers[:split]),
    Decoder(layers[split:]),
  )

  def dataset(examples: np.ndarray) -> Any:
    return BaseDataset(torch.tensor(examples), torch.ones(len(examples)))

  def trainer(examples: np.ndarray) -> Any:
    made = BaseTrainer(
      model,
      dataset(examples),
      training_config=BaseTrainerConfig(
        output_dir=folder,
        learning_rate=ours.learning_rate,
        per_device_train_batch_size=128,
      ),
    )
    made.prepare_training()
    return made

  def losses(order: np.ndarray) -> np.ndarray:
    with _quiet():
      made = trainer(ours.examples[:128])
      values = []
      for batch in ours.examples[order[0]]:  # an epoch of one step each
        made.train_loader = made.get_train_dataloader(dataset(batch))
        # Its loss lacks our factor of a half; Adam does not see a factor.
        values.append(made.train_step(1) / 2)
    return np.array([values])

  trainers: dict[int, Any] = {}

  def train(num_steps: int) -> None:
    with _quiet():
      if num_steps not in trainers:
        shape = (num_steps * 128, num_features)
        trainers[num_steps] = trainer(np.resize(ours.examples, shape))
      trainers[num_steps].train_step(1)

  count = sum(p.numel() for p in model.parameters())
  return Peer(1, count, losses, train)


def _training(
  step: Callable[[Any], Any], leading: tuple[int, ...], num_examples: int
) -> Work:
  """Steps in a random order that is drawn once."""
  import torch

  order = torch.randint(num_examples, (64, *leading, 128), device=_device())

  def train(num_steps: int) -> None:
    for i in range(num_steps):
      last = step(order[i % len(order)])
    last.cpu()  # waits for the device

  return train


def _layers(params: Params) -> list[Any]:
  """Linear layers with a ReLU between, none after the code; ours mirrored."""
  import torch

  encoder, decoder = params["encoder"], params["decoder"]
  hidden = [encoder[f"hidden_{i}"] for i in range(len(encoder) - 1)]
  first = [*hidden, encoder["code"]]
  hidden = [decoder[f"hidden_{i}"] for i in range(len(decoder) - 1)]
  second = [decoder["latent"], *hidden]
  layers: list[Any] = []
  for half in (first, second):
    for i, p in enumerate(half):
      fan_in, fan_out = p["kernel"].shape
      linear = torch.nn.Linear(fan_in, fan_out)
      with torch.no_grad():
        linear.weight.copy_(torch.tensor(p["kernel"].T.copy()))
        linear.bias.copy_(torch.tensor(p["bias"]))
      layers += [torch.nn.ReLU(), linear] if i else [linear]
  return layers


def _trial(params: Params, index: int = 0) -> Params:
  return jax.tree.map(lambda p: p[index], params)


def _device() -> str:
  import torch

  return "cuda" if torch.cuda.is_available() else "cpu"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Without logs and progress bars."""
  before = logging.root.manager.disable
  logging.disable(logging.WARNING)
  try:
    with (
      open(os.devnull, "w") as nowhere,
      contextlib.redirect_stderr(nowhere),
    ):
      yield
  finally:
    logging.disable(before)

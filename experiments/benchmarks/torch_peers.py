"""Mirrored MLPs in PyTorch, torch.func and pythae.

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
import importlib.metadata
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import AE, AEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig

from ae_jax.types import Params
from experiments.benchmarks.peers import Peer, Reference
from experiments.benchmarks.problems import BATCH_SIZE
from experiments.benchmarks.timing import Work


def versions() -> dict[str, Any]:
  """What the peers ran with."""
  return {
    "torch": importlib.metadata.version("torch"),
    "pythae": importlib.metadata.version("pythae"),
    "torch_threads": torch.get_num_threads(),
    "torch_device": _device(),
  }


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


class _Encoder(BaseEncoder):
  """Layers as pythae calls an encoder."""

  def __init__(self, layers: list[Any]):
    super().__init__()
    self.layers = torch.nn.Sequential(*layers)

  def forward(self, x: Any) -> Any:
    return ModelOutput(embedding=self.layers(x))


class _Decoder(BaseDecoder):
  """Layers as pythae calls a decoder."""

  def __init__(self, layers: list[Any]):
    super().__init__()
    self.layers = torch.nn.Sequential(*layers)

  def forward(self, z: Any) -> Any:
    return ModelOutput(reconstruction=self.layers(z))


def pythae_trainer(ours: Reference, folder: str) -> Peer:
  """One network in pythae's own trainer."""
  model = _pythae_model(ours)

  def trainer(examples: np.ndarray) -> Any:
    config = BaseTrainerConfig(
      output_dir=folder,
      learning_rate=ours.learning_rate,
      per_device_train_batch_size=BATCH_SIZE,
    )
    made = BaseTrainer(model, _dataset(examples), training_config=config)
    made.prepare_training()
    return made

  def losses(order: np.ndarray) -> np.ndarray:
    with _quiet():
      made = trainer(ours.examples[:BATCH_SIZE])
      values = []
      for batch in ours.examples[order[0]]:  # an epoch of one step each
        made.train_loader = made.get_train_dataloader(_dataset(batch))
        # Its loss lacks our factor of a half; Adam does not see a factor.
        values.append(made.train_step(1) / 2)
    return np.array([values])

  trainers: dict[int, Any] = {}

  def train(num_steps: int) -> None:
    with _quiet():
      if num_steps not in trainers:
        shape = (num_steps * BATCH_SIZE, ours.examples.shape[1])
        trainers[num_steps] = trainer(np.resize(ours.examples, shape))
      trainers[num_steps].train_step(1)

  count = sum(p.numel() for p in model.parameters())
  return Peer(1, count, losses, Work(train))


def _pythae_model(ours: Reference) -> Any:
  """Its `AE` with our first trial's layers."""
  params = _trial(ours.params)
  layers = _layers(params)
  split = 2 * len(params["encoder"]) - 1  # layers of the encoder, ReLUs too
  config = AEConfig(
    input_dim=(ours.examples.shape[1],),
    latent_dim=params["decoder"]["latent"]["kernel"].shape[0],
  )
  return AE(config, _Encoder(layers[:split]), _Decoder(layers[split:]))


def _dataset(examples: np.ndarray) -> Any:
  return BaseDataset(torch.tensor(examples), torch.ones(len(examples)))


def _training(
  step: Callable[[Any], Any], leading: tuple[int, ...], num_examples: int
) -> Work:
  """Steps in a random order that is drawn once."""
  order = torch.randint(
    num_examples, (64, *leading, BATCH_SIZE), device=_device()
  )

  def train(num_steps: int) -> None:
    for i in range(num_steps):
      last = step(order[i % len(order)])
    last.cpu()  # waits for the device

  return Work(train)


def _layers(params: Params) -> list[Any]:
  """Linear layers with a ReLU between, none after the code; ours mirrored."""
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

"""One point of a grid with every setting resolved."""

import dataclasses
import functools
import hashlib
import json

from ae_jax.epoch_order import batching
from ae_jax.networks import Spec
from ae_jax.schedules import Schedule, make_schedule
from ae_jax.settings import Point
from ae_jax.types import Objective

TRACED = ("latent_size", "seed", "learning_rate")
_SPEC = ("network", "widths", "activation", "code", "likelihood")


@dataclasses.dataclass(frozen=True)
class Trial:
  """One point with every setting resolved.

  Attributes:
    settings: all settings, defaults included, the objective by its name.
    objective: its function, the static hyper-parameters bound.
    hyper: what is traced besides the seed: learning rate, latent size and the
      numbers of the objective.
    source: digest of the file of an objective that is not of this package, so
      that a changed loss is another trial; else empty.
  """

  settings: Point
  objective: Objective
  hyper: dict[str, float]
  source: str

  @functools.cached_property
  def id(self) -> str:
    """Ten hex digits that name the settings, the same in every process."""
    text = json.dumps(self.settings, sort_keys=True) + self.source
    return hashlib.sha256(text.encode()).hexdigest()[:10]

  @property
  def group(self) -> str:
    """What trials of one compiled program have in common."""
    traced = {*self.hyper, *TRACED}
    static = {k: v for k, v in self.settings.items() if k not in traced}
    return json.dumps(static, sort_keys=True)

  @property
  def function(self) -> Objective:
    """The objective without its static hyper-parameters."""
    return getattr(self.objective, "func", self.objective)

  @property
  def batch_kind(self) -> str | None:
    """What `data.supervision.supervise` adds to its examples."""
    function = self.function
    if hasattr(function, "labels"):
      return "label"
    return self.settings["pairs"] if hasattr(function, "pairs") else None

  def spec(self, features: tuple[int, ...], latent_size: int) -> Spec:
    """The network for such data, its code padded to `latent_size`."""
    return spec(self.settings, features, latent_size)

  def schedule(self, num_examples: int) -> Schedule:
    """The hyper-parameters at each step, for that many examples."""
    _, num_steps = batching(num_examples, self.settings["batch_size"])
    total = num_steps * self.settings["num_epochs"]
    ramps = {
      name: ramp
      for name in self.hyper
      if f"{name}_start" in self.hyper
      and (ramp := self.settings.get(f"{name}_schedule"))
    }
    return make_schedule(self.settings["schedule"], ramps, total)


def spec(settings: Point, features: tuple[int, ...], latent_size: int) -> Spec:
  """The network that settings describe."""
  fields = {field: settings[field] for field in _SPEC}
  return Spec(
    features, latent_size, **fields | {"widths": (*fields["widths"],)}
  )

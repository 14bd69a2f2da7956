"""What a function declares when it is brought into a sweep.

A loss, an optimizer, a network, a likelihood and a metric are one pure function
each. Their keyword-only arguments are their hyper-parameters: one whose default
is a float is traced, so that all its values share one compiled program, and may
be scheduled; any other (a string, an int, a bool) is static: each of its values
gets a program. What else other modules need to know of it, it declares by a
decorator, which changes nothing but its attribute `declaration`:

    @objective(code="gaussian", ranges={"beta": (0.0, inf)})
    def vae(model, params, key, batch, *, beta: float = 1.0): ...
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from ae_jax.types import Array, Autoencoder, Gaussian, Params, UsageError

F = TypeVar("F", bound=Callable)
Ranges = Mapping[str, tuple[float, float]]
_INFINITY = float("inf")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Declaration:
  """What all kinds declare.

  Attributes:
    ranges: hyper-parameter -> the least and greatest value, both allowed.
  """

  ranges: Ranges = dataclasses.field(default_factory=dict)

  def __call__(self, function: F) -> F:
    """Decorates a function.

    Raises:
      ValueError: it is declared already, as what is shipped is.
    """
    if hasattr(function, "declaration"):
      raise ValueError(
        f"{getattr(function, '__qualname__', function)} is declared already:"
        " decorate a function of your own that calls it"
      )
    function.declaration = self  # type: ignore[attr-defined]
    return function

  @property
  def functions(self) -> list[Callable]:
    """Those that are declared."""
    values = [getattr(self, field.name) for field in dataclasses.fields(self)]
    return [value for value in values if callable(value)]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ObjectiveDeclaration(Declaration):
  """What an objective needs; a loss that needs nothing is not decorated.

  `params` and `state` make nested dicts of arrays. An axis that is as long as
  the code is padded in a sweep. A trained model has the first `latent_size` of
  it, if the objective is part of the model (`is_of_the_model`).

  Attributes:
    code: the code it needs, "gaussian" or the activation of a point code; ""
      takes any point code, "linear" by default.
    likelihood: p(x|z), what the decoder means, where it can be but one: a name
      or a function; "" takes that of the trial.
    batch: "pairs": the batch is `[batch, 2, *features]`, and a hyper-parameter
      `pairs` says what two examples share; "labels": it is `types.Labeled`, and
      a hyper-parameter `num_classes` says how many classes there are.
    encoder_input: x -> what the encoder sees of it, such as `jnp.log1p` of
      counts.
    select: (params, z `[n, latent]`, latent mask `[latent]`) -> the code that
      the model gives, of its point code.
    indices: (params, z `[n, latent]`) -> integers `[n, parts]`, as which a code
      of finitely many values, by `select`, is written: see `metrics.rate`.
    prior: (model, params) -> p(z), a mixture of Gaussians of equal weight, each
      field `[components, latent]`; of a Gaussian code N(0, I) by default.
    params: (model, params, key, **hyper) -> a dict of arrays that are trained
      with the model; the objective finds it at `params["objective"]`.
    state: the same for arrays that are carried from step to step and not
      trained, at `params["state"]`; the objective then returns (loss, terms,
      next state).
    after_update: (model, params, key, batch, **hyper) -> params, called after
      each update of the optimizer; it may change all that is in them.
    condition: (params, label) -> the parameters of the model of that class, an
      integer from 0, maybe traced; -1 where it is not known. They hold NaN
      where no example of that kind was trained on.
    classes: params -> the classes that `condition` knows, and None among them
      if the model may be used without one; none at all of parameters that are
      of one class already.
    check: settings -> None; raises `UsageError` at what does not go together.

  Raises:
    ValueError: `batch` is no such word, or a Gaussian code is to be selected.
  """

  code: str = ""
  likelihood: str | Callable = ""
  batch: str = ""
  encoder_input: Callable[[Array], Array] | None = None
  select: Callable[[Params, Array, Array], Array] | None = None
  indices: Callable[[Params, Array], Array] | None = None
  prior: Callable[[Autoencoder, Params], Gaussian] | None = None
  params: Callable[..., Params] | None = None
  state: Callable[..., Params] | None = None
  after_update: Callable[..., Params] | None = None
  condition: Callable[[Params, Any], Params] | None = None
  classes: Callable[[Params], list[int | None]] | None = None
  check: Callable[[Mapping[str, Any]], None] | None = None

  def __post_init__(self) -> None:
    if self.batch not in ("", "pairs", "labels"):
      raise ValueError(
        f'batch must be "pairs", "labels" or ""; got {self.batch!r}'
      )
    if self.select is not None and self.code == "gaussian":
      raise ValueError("select is of a point code, not of a Gaussian one")

  @property
  def is_of_the_model(self) -> bool:
    """Whether a trained model cannot be used without it."""
    parts = self.encoder_input, self.select, self.prior, self.condition
    return any(part is not None for part in parts)


KINDS = ("density", "mass", "mixed")


class Values(NamedTuple):
  """The numbers that a mass is a distribution over.

  Attributes:
    text: what they are.
    contain: (x `[n, *features]`, **hyper) -> whether all of x are some.
  """

  text: str
  contain: Callable[..., Any]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LikelihoodDeclaration(Declaration):
  """What a likelihood p(x|z) is, beside its negative logarithm.

  The function is (x `[batch, *features]`, decoded, **hyper) -> `-log p(x|z)` in
  nats, of each feature `[batch, *features]`, or summed over them `[batch]`.
  Other functions take those hyper-parameters that they name.

  Attributes:
    mean: (decoded, **hyper) -> x~, the mean of p(x|z), in the units of x.
    size: numbers that the network gives per feature, or (**hyper) -> that; more
      than one are the last axis of what is decoded.
    params: (features, **hyper) -> a dict of arrays that all examples share and
      that are trained with the model, such as the logarithm of a scale, each of
      a shape that broadcasts to `features`. They are further numbers of each
      feature in what is decoded, behind the network's, in the order of their
      names; a model has them at `params["likelihood"]`.
    encoder_input: (x `[n, *features]`, **hyper) -> what the encoder sees of it,
      such as `jnp.log1p` of counts, unless the objective says.
    library_size: (x `[n, *features]`, **hyper) -> `[n]`, such as the sum of an
      example's counts: `mean` is that at library size 1, and what reconstructs
      x multiplies it by that of x.
    activation: of the decoder's last layer, a name in `networks.ACTIVATIONS`.
    support: the least and greatest x that it allows.
    kind: "density" of real numbers, "mass" of discrete ones, or "mixed" of
      both: bounds on the likelihood of one kind are not comparable with those
      of another. Only a mass has bits per dimension, or a density of bytes with
      noise, see `Dataset`.
    values: of a mass: other data are refused.
    relaxed: whether they are taken all the same, as a Bernoulli takes gray
      values: then it has no normalizer.
    log_normalizer: what the function leaves out, in nats per feature.
    independent: whether features are independent given z: what the function
      gives for one is of its x alone; or (**hyper) -> that. Entries of other
      data cannot be missing.
    formula: the mean as a formula of the last layer's h, for an export.

  Raises:
    ValueError: `kind` is no such word.
  """

  mean: Callable[..., Array]
  size: int | Callable[..., int] = 1
  params: Callable[..., Params] | None = None
  encoder_input: Callable[..., Array] | None = None
  library_size: Callable[..., Array] | None = None
  activation: str = "linear"
  support: tuple[float, float] = (-_INFINITY, _INFINITY)
  kind: str = "density"
  values: Values | None = None
  relaxed: bool = False
  log_normalizer: float = 0.0
  independent: bool | Callable[..., bool] = True
  formula: str = ""

  def __post_init__(self) -> None:
    if self.kind not in KINDS:
      raise ValueError(f"kind must be {', '.join(KINDS)}; got {self.kind!r}")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class NetworkDeclaration(Declaration):
  """What a network is: (spec, **hyper) -> `networks.Network`.

  Attributes:
    convolutions: whether it has some; on a CPU one step is then done at a time,
      as XLA's convolutions are slow in a loop there.
    forward: the layers in words, for an export.
  """

  convolutions: bool = False
  forward: str = ""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class OptimizerDeclaration(Declaration):
  """Ranges of an optimizer: (learning_rate, **hyper) -> an optax one."""


class Metric(NamedTuple):
  """One column of the table.

  Attributes:
    unit: of its values.
    better: "lower", "higher", or "" where neither is.
    meaning: one line.
  """

  unit: str
  better: str
  meaning: str


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class DatasetDeclaration(Declaration):
  """Marks a dataset: () -> x, or a dict of arrays, see `data.own.read`."""


class MetricDeclaration(Declaration):
  """The columns of a metric: (model, params, data) -> a dict of scalars.

  The function is vmapped over the trials; `data` is `metrics.EvalData`.

  Attributes:
    columns: what it returns -> unit, "lower", "higher" or "" (what is better),
      and meaning in one line.

  Raises:
    ValueError: there is no column, or another word than these.
  """

  columns: Mapping[str, Metric]

  def __init__(self, **columns: Metric | tuple[str, str, str]):
    super().__init__()
    declared = {name: Metric(*column) for name, column in columns.items()}
    object.__setattr__(self, "columns", declared)
    if not columns:
      raise ValueError("a metric declares the columns that it returns")
    for name, column in declared.items():
      if column.better not in ("lower", "higher", ""):
        raise ValueError(f'{name}: give "lower", "higher" or "" as better')


objective = ObjectiveDeclaration
likelihood = LikelihoodDeclaration
network = NetworkDeclaration
optimizer = OptimizerDeclaration
metric = MetricDeclaration
dataset = DatasetDeclaration

_PLAIN = ObjectiveDeclaration()
T = TypeVar("T")


@functools.cache
def keyword_only(function: Callable) -> dict[str, Any]:
  """The keyword-only arguments of a function, with their defaults."""
  return {
    p.name: p.default
    for p in inspect.signature(function).parameters.values()
    if p.kind is p.KEYWORD_ONLY
  }


def declared(function: Callable | None, kind: type[T]) -> T | None:
  """What a function declares of a kind; of a partial, its function."""
  inner = getattr(function, "func", function)
  declaration = getattr(inner, "declaration", None)
  return declaration if isinstance(declaration, kind) else None


def ranges_of(function: Callable) -> Ranges:
  """The ranges that a function declares; `{}` where there are none."""
  found = declared(function, Declaration)
  return {} if found is None else found.ranges


def of_objective(function: Callable | None) -> ObjectiveDeclaration:
  """What an objective declares; without a decorator that it needs nothing."""
  return declared(function, ObjectiveDeclaration) or _PLAIN


def of_likelihood(function: Callable) -> LikelihoodDeclaration:
  """What a likelihood declares.

  Raises:
    UsageError: nothing.
  """
  return _needed(function, LikelihoodDeclaration, "likelihood")


def of_network(function: Callable) -> NetworkDeclaration:
  """What a network declares.

  Raises:
    UsageError: nothing.
  """
  return _needed(function, NetworkDeclaration, "network")


def _needed(function: Callable, kind: type[T], name: str) -> T:
  found = declared(function, kind)
  if found is None:
    called = getattr(function, "__qualname__", repr(function))
    raise UsageError(
      f"{called} is no {name}: decorate the function with @ae_jax.{name}(...)"
    )
  return found

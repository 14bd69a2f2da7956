"""An autoencoder as pure functions, from its spec.

Networks are Flax Linen modules; parameters are plain dicts.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ae_jax import keys, penalties
from ae_jax.likelihoods import Likelihood
from ae_jax.networks.activations import ACTIVATIONS
from ae_jax.networks.masked import HEADS, CodeLayer, LatentLayer
from ae_jax.networks.network import Module, Network
from ae_jax.networks.spec import Numbers, Spec
from ae_jax.types import (
  Array,
  Autoencoder,
  Gaussian,
  Key,
  Params,
  Scalar,
  UsageError,
)


def autoencoder(
  spec: Spec,
  latent_size: Scalar | None = None,
  numbers: Numbers | None = None,
  key: Key | None = None,
) -> Autoencoder:
  """Builds the pure functions of an autoencoder.

  Args:
    spec: the static shape.
    latent_size: how many of the `spec.latent_size` units are used; may be
      traced. Default: all of them.
    numbers: hyper-parameters of network and likelihood that are floats; maybe
      traced. Those that it leaves out keep their defaults, others are ignored.
    key: of the noise of a network in training, such as dropout; the same in
      each call. Without it the network is as in use.

  Returns:
    The functions, closed over all that. `encode` and `decode` raise ValueError
    for arrays whose trailing dimensions are not those of the spec.

  Raises:
    UsageError: a `latent_size` that is not traced is out of range, or the
      network does not go with the spec.
  """
  size = spec.latent_size if latent_size is None else latent_size
  if isinstance(size, int) and not 1 <= size <= spec.latent_size:
    raise UsageError(
      f"latent_size must be in 1 ... {spec.latent_size}; got {size}"
    )
  mask = (jnp.arange(spec.latent_size) < size).astype(jnp.float32)
  network = spec.network_of(numbers or {})
  likelihood = spec.likelihood_of(numbers or {})
  if spec.missing and network.tie is not None:
    raise UsageError(
      "tied weights do not go with missing entries: the encoder has inputs that"
      " the decoder does not give; take tied=False"
    )
  functions = _NetworkFunctions(
    spec,
    mask,
    network,
    likelihood,
    CodeLayer(spec, mask),
    LatentLayer(network.decoder_units, mask, size),
    key,
  )
  log_normalizer = likelihood.declaration.log_normalizer
  model = Autoencoder(
    init=functions.init,
    encode=functions.encode,
    dense_code=functions.dense_code,
    encode_and_jacobian_norm=functions.encode_and_jacobian_norm,
    decode=functions.decode,
    nll=likelihood.nll,
    mean=likelihood.mean,
    log_normalizer=spec.num_features * log_normalizer,
    prior=functions.standard_normal,
    condition=spec.declaration.condition,
    layers=functions.layers(),
    latent_mask=mask,
    missing=spec.missing,
  )
  prior = spec.declaration.prior
  if prior is None:
    return model
  return model._replace(prior=lambda params: prior(model, params))


def model_of(
  spec: Spec, params: Params, latent_size: Scalar | None = None
) -> Autoencoder:
  """The autoencoder of trained parameters, with the numbers among them."""
  return autoencoder(spec, latent_size, params.get("numbers", {}))


@dataclasses.dataclass(frozen=True, eq=False)
class _NetworkFunctions:
  """What the functions of an `Autoencoder` are closed over."""

  spec: Spec
  mask: Array
  network: Network
  likelihood: Likelihood
  code_layer: CodeLayer
  latent_layer: LatentLayer
  key: Key | None

  def init(self, key: Key) -> Params:
    encoder_key, decoder_key = jax.random.split(key)
    x = self._with_mask(jnp.zeros((1, *self.spec.features)))
    z = jnp.zeros((1, self.spec.latent_size))
    encoder = _init(self.network.encoder, encoder_key, x)
    h = self._apply(self.network.encoder, encoder, x, None)
    if h.ndim != 2:
      raise UsageError(
        f"the encoder of a network must give [n, units]; it gives {h.shape}"
      )
    decoder = _init(self.latent_layer, decoder_key, z)
    units = self.latent_layer.apply({"params": decoder}, z)
    rest = _init(self.network.decoder, decoder_key, units)
    decoded = self._apply(self.network.decoder, rest, units, None)
    if decoded.size != self.spec.num_outputs:
      raise UsageError(
        f"the decoder of a network must give {self.spec.num_outputs} numbers"
        f" for an example; it gives the shape {decoded.shape[1:]}"
      )
    for name in {*HEADS} & {*encoder} | {"latent"} & {*rest}:
      raise UsageError(
        f"a layer of the network is named {name!r}, as one next to the code is:"
        " give it another name"
      )
    decoder |= rest
    if self.network.tie is not None:
      decoder = _without_kernels(decoder)
    shared = self.likelihood.init()
    return {
      "encoder": encoder | _init(self.code_layer, encoder_key, h),
      "decoder": decoder,
    } | ({"likelihood": shared} if shared else {})

  def dense_code(self, params: Params, x: Array) -> Array | Gaussian:
    batch = _leading(x, self.spec.features)
    x = x.reshape(-1, *self.spec.features)
    x = self._with_mask(x)
    encoder = params["encoder"]
    h = self._apply(self.network.encoder, encoder, x, keys.ENCODER)
    heads: Any = self.code_layer.apply({"params": encoder}, h)
    return jax.tree.map(
      lambda head: (head * self.mask[None]).reshape(*batch, -1), heads
    )

  def encode(self, params: Params, x: Array) -> Array | Gaussian:
    code = self.dense_code(params, x)
    select = self.spec.declaration.select
    if select is None or isinstance(code, Gaussian):
      return code
    flat = code.reshape(-1, self.spec.latent_size)
    return select(params, flat, self.mask).reshape(code.shape)

  def encode_and_jacobian_norm(
    self, params: Params, x: Array
  ) -> tuple[Array, Array]:
    batch = _leading(x, self.spec.features)
    x = x.reshape(-1, *self.spec.features)

    def point(x: Array) -> Array:
      code = self.encode(params, x)
      return code.mean if isinstance(code, Gaussian) else code

    closed_form = self.network.code_and_jacobian_norm
    if closed_form is not None and self._is_of_layers:
      z, norm = closed_form(params["encoder"], self.mask, x)
    else:
      z, norm = point(x), penalties.contractive(point, x)
    return z.reshape(*batch, -1), norm.reshape(batch)

  def decode(self, params: Params, z: Array) -> Array:
    batch = _leading(z, (self.spec.latent_size,))
    flat = z.reshape(-1, self.spec.latent_size) * self.mask[None]
    decoder = params["decoder"]
    if self.network.tie is not None:
      decoder = self.network.tie(params["encoder"], decoder)
    h: Any = self.latent_layer.apply({"params": decoder}, flat)
    decoded = self._apply(self.network.decoder, decoder, h, keys.DECODER)
    decoded = ACTIVATIONS[self.likelihood.declaration.activation](decoded)
    features = self.spec.features
    decoded = self.likelihood.decoded(params, decoded, features)
    return decoded.reshape(*batch, *decoded.shape[1:])

  def standard_normal(self, params: Params) -> Gaussian:
    del params
    return Gaussian(*2 * (jnp.zeros((1, self.spec.latent_size)),))

  def layers(self) -> Any:
    if (
      self.network.layers is None
      or self.spec.code not in ACTIVATIONS
      or not self._is_of_layers
    ):
      return ()
    return self.network.layers(self.mask, self.likelihood)

  @property
  def _is_of_layers(self) -> bool:
    """Whether nothing is added to the layers of the encoder."""
    return (
      self.spec.declaration.select is None
      and self._encoder_input is None
      and not self.spec.missing
    )

  @property
  def _encoder_input(self) -> Callable[[Array], Array] | None:
    """What the encoder sees of x: the objective says, or the likelihood."""
    own = self.spec.declaration.encoder_input
    return self.likelihood.encoder_input if own is None else own

  def _with_mask(self, x: Array) -> Array:
    """What the network's encoder takes for x, see `Spec.missing`."""
    seen = self._encoder_input or (lambda x: x)
    if not self.spec.missing:
      return seen(x)
    observed = ~jnp.isnan(x)
    parts = seen(jnp.where(observed, x, 0.0)), observed.astype(x.dtype)
    if len(self.spec.features) == 3:
      return jnp.concatenate(parts, axis=-1)
    return jnp.stack(parts, axis=-1)

  def _apply(
    self, module: Module, params: Params, x: Array, use: int | None
  ) -> Any:
    """Applies a module, as in training where there is a key."""
    if self.key is None or use is None:
      return module.apply({"params": params}, x)
    noise = jax.random.fold_in(self.key, use)
    return module.apply({"params": params}, x, rngs={"dropout": noise})


def _without_kernels(params: Params) -> Params:
  return {
    name: _without_kernels(p) if isinstance(p, dict) else p
    for name, p in params.items()
    if name != "kernel"
  }


def _init(module: Any, key: Key, x: Array) -> Params:
  """The parameters of a module; `{}` where it has none."""
  variables = module.init(key, x)
  if others := {*variables} - {"params"}:
    raise UsageError(
      "a network has parameters alone, no other collections of variables; got"
      f" {', '.join(sorted(others))}"
    )
  return variables.get("params", {})


def _leading(x: Array, trailing: tuple[int, ...]) -> tuple[int, ...]:
  """The batch dimensions of `x`."""
  num_leading = x.ndim - len(trailing)
  if x.shape[num_leading:] != trailing:
    raise ValueError(f"shape {x.shape} does not end in {trailing}")
  return x.shape[:num_leading]

"""The family of the VAE on digits, each over the weight that is its own.

./launch.sh sweep --config=vae_family.py
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """Twelve objectives at one latent size, two seeds."""
  config = base()
  config.fixed.num_epochs = 100
  config.fixed.learning_rate = 3e-3
  config.fixed.likelihood = "bernoulli"
  config.metrics = ("reconstruction", "features", "likelihood")
  config.sweep = ConfigDict(
    {
      "objective": (
        "rae",
        "vq_vae",
        "fsq",
        "vae",
        "iwae",
        "capacity_vae",
        "beta_tcvae",
        "factor_vae",
        "dip_vae",
        "info_vae",
        "wae_mmd",
        "vamp_vae",
      ),
      "latent_size": (8,),
      "seed": (0, 1),
      "rae": {"code_weight": (0.01, 0.1)},
      "vq_vae": {"num_codes": (16, 64)},
      "fsq": {"levels": (3.0, 5.0, 9.0)},
      "vae": {
        "beta": (0.5, 1.0),
        "beta_schedule": ("linear", "cosine", "cyclic"),
      },
      "iwae": {"num_samples": (5,), "doubly_reparameterized": (False, True)},
      "capacity_vae": {
        "capacity": (5.0, 10.0),
        "capacity_schedule": ("linear",),
      },
      "beta_tcvae": {"beta": (1.0, 4.0)},
      "factor_vae": {"gamma": (1.0, 10.0)},
      "dip_vae": {"kind": ("I", "II")},
      "info_vae": {"strength": (1.0, 10.0)},
      "wae_mmd": {"strength": (1.0, 10.0)},
      "vamp_vae": {"num_pseudo_inputs": (16, 64)},
    }
  )
  return config

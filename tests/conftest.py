"""Every test runs with jaxtyping's shape checks on and with implicit rank promotion forbidden."""

import os

# Eight virtual devices let the sharding tests run in the same process; must precede the first import of jax.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ['XLA_FLAGS'] = os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8'
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from jaxtyping import install_import_hook  # noqa: E402

install_import_hook('llmrec_jax', 'beartype.beartype')

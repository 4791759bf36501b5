"""The network that is examined, and its compiled ways of answering a batch."""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jaxtyping import Array, Int, PyTree

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.training.mesh import over_devices_of, place

Features = Mapping[str, Int[Array, 'batch length']]


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A model with the parameters of one checkpoint, spread over all devices of the run.

    Attributes:
      model: the network.
      params: its parameters, sharded as they were trained or held whole.
      vocabulary: from texts to its tokens and back; None where nobody reads what it writes here.
    """

    model: EncoderDecoderModel
    params: PyTree[Array]
    vocabulary: TextVocabulary | None = None

    def features(self, inputs: Int[np.ndarray, 'batch length']) -> Features:
        """The model's features of padded inputs, dealt out to all devices."""
        return place(self.model.convert_features({'inputs': inputs}), self._over_devices)

    def all_dealt(self, features: Mapping[str, np.ndarray]) -> dict[str, Array]:
        """Features of the model that are made already, dealt out to all devices."""
        return place(features, self._over_devices)

    def dealt(self, array: Int[np.ndarray, 'batch ...']) -> Int[Array, 'batch ...']:
        """What goes along with the examples of a batch, dealt out like them."""
        return place({'array': array}, self._over_devices)['array']

    @functools.cached_property
    def _over_devices(self) -> NamedSharding:
        """Examples dealt out to all devices, in the mesh that the parameters lie in."""
        return over_devices_of(self.params)


def on_every_process(answered: PyTree[Array]) -> PyTree[np.ndarray]:
    """The answers of all devices of the run, in host memory."""
    if jax.process_count() == 1:
        return jax.device_get(answered)
    return multihost_utils.process_allgather(answered, tiled=True)

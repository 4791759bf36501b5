"""A model with one checkpoint's parameters on all devices, and its compiled ways of answering a batch."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jaxtyping import Array, Float, Int, PyTree

from llmrec_jax.decoding.beam_search import Beams
from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.models.generative_model import GenerativeModel
from llmrec_jax.models.inference import GeneratedText
from llmrec_jax.semantic_ids.trie import Trie
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.training.mesh import over_devices_of, place

Features = Mapping[str, Int[Array, 'batch length']]


@dataclasses.dataclass(frozen=True, eq=False)
class PlacedModel:
    """A model with the parameters of one checkpoint, spread over all devices of the run.

    Attributes:
      model: the network.
      params: its parameters, sharded as they were trained or held whole.
      vocabulary: from texts to its tokens and back; None where nobody reads what it writes here.
    """

    model: GenerativeModel
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


@functools.partial(jax.jit, static_argnames=('model', 'decoder'))
def written(
    model: Any,
    decoder: Any,
    seed: int | Int[Array, ''],
    params: Any,
    features: Features,
    rows: Int[Array, 'batch'],
) -> GeneratedText:
    """What the decoder writes for the examples `rows`, best text first."""
    keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(seed)))(rows.astype(jnp.uint32))
    return model.generate(params, features, decoder, keys)


@functools.partial(jax.jit, static_argnames='model')
def likelihoods(
    model: Any, params: Any, features: Features, candidates: Int[Array, 'batch candidates tokens']
) -> Float[Array, 'batch candidates']:
    """Log-probability of each candidate's tokens up to its EOS."""
    return model.score_candidates(params, features, candidates)


@functools.partial(jax.jit, static_argnames=('model', 'search'))
def searched(
    model: GenerativeModel,
    search: NameSearch,
    params: Any,
    features: Features,
    trie: Trie,
    **filters: Int[Array, 'batch items'],
) -> Beams:
    """Beams over the names of the catalogue.

    Args:
      model: of the parameters.
      search: over the names.
      params: of the network.
      features: of the prompts.
      trie: of the names.
      **filters: rows of items, padded with -1: `candidates`, the only ones that may be answered, or `seen`,
        those that may not.
    """
    return dataclasses.replace(model, decode_fn=search).recommend(params, features, trie, **filters)


@functools.partial(jax.jit, static_argnames=('model', 'tokens'))
def first_steps(
    model: GenerativeModel, tokens: tuple[int, ...], params: Any, features: Features
) -> Float[Array, 'batch tokens']:
    """Log-probability of each of the tokens as the first that is written."""
    return model.first_step_log_probs(params, features, np.asarray(tokens, np.int32))

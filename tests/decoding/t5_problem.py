"""A small random T5, the histories of some users, and a catalogue to search."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from tests.decoding.recurrent_model import random_tokens
from tests.drawn_parameters import drawn_like

SIZES = (7, 7, 7, 7)
LAYOUT = TokenLayout(codebook_sizes=SIZES, user_tokens=16, multiple_of=8)


@dataclasses.dataclass(frozen=True)
class T5Problem:
    """Parameters, padded encoder inputs [users, length], and the catalogue's tokens [items, levels]."""

    config: T5Config
    params: dict
    inputs: np.ndarray
    tokens: np.ndarray

    def recommend(self, searcher: SemanticIdSearch):
        return jax.jit(EncoderDecoderModel(module=Transformer(self.config), decode_fn=searcher).recommend)

    @property
    def batch(self) -> dict[str, jax.Array]:
        return {'encoder_input_tokens': jnp.asarray(self.inputs)}


def t5_problem(users: int = 2, n_items: int = 300, **config) -> T5Problem:
    config = T5Config(
        vocab_size=LAYOUT.vocab_size,
        emb_dim=16,
        num_heads=2,
        head_dim=8,
        mlp_dim=32,
        num_encoder_layers=1,
        **{'num_decoder_layers': 1, 'logits_via_embedding': True, **config},
    )
    tokens = random_tokens(n_items, SIZES)
    random = np.random.default_rng(0)
    inputs = np.zeros((users, 13), np.int32)
    for user in range(users):
        history = tokens[random.integers(0, n_items, 1 + user % 3)].reshape(-1)
        inputs[user, : 1 + len(history)] = [LAYOUT.user_offset + user, *history]
    targets = jnp.ones((users, len(SIZES)), jnp.int32)
    variables = jax.eval_shape(
        lambda: Transformer(config).init(jax.random.key(0), jnp.asarray(inputs), targets, targets)
    )
    return T5Problem(config, drawn_like(variables['params']), inputs, tokens)

"""A small random model whose logits depend on the whole prefix, with references that search it in plain
Python."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from llmrec_jax.semantic_ids.token_layout import TokenLayout


def random_tokens(n_items: int, sizes: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Distinct rows of vocabulary ids in random order."""
    random = np.random.default_rng(seed)
    flat = random.choice(int(np.prod(sizes)), size=n_items, replace=False)
    return TokenLayout(sizes).item_tokens(np.stack(np.unravel_index(flat, sizes), axis=-1))


@dataclasses.dataclass(frozen=True)
class RecurrentModel:
    """h_p = tanh(h_{p-1} M + E[token] + user); logits = scale h_p W, with one user vector a row of the
    batch."""

    batch_size: int
    vocab: int
    width: int = 8
    scale: float = 3.0
    seed: int = 0

    @property
    def weights(self) -> dict[str, jax.Array]:
        random = np.random.default_rng(self.seed)
        shapes = {
            'mix': (self.width, self.width),
            'embedding': (self.vocab, self.width),
            'head': (self.width, self.vocab),
            'user': (self.batch_size, self.width),
        }
        return {name: jnp.asarray(random.normal(size=shape), jnp.float32) for name, shape in shapes.items()}

    @property
    def state(self) -> jax.Array:
        return jnp.zeros((self.batch_size, 1, self.width), jnp.float32)

    def step(self, tokens, position, state):
        weights = self.weights
        hidden = jnp.tanh(state @ weights['mix'] + weights['embedding'][tokens] + weights['user'][:, None])
        return self.scale * (hidden @ weights['head']), hidden

    def log_probs(self, user: int, prefix: tuple[int, ...], temperature: float = 1.0) -> np.ndarray:
        """log P(next token | user, prefix) in double precision, recomputed from the first token on."""
        weights = {name: np.asarray(value, np.float64) for name, value in self.weights.items()}
        hidden = np.zeros(self.width)
        for token in (0, *prefix):
            hidden = np.tanh(hidden @ weights['mix'] + weights['embedding'][token] + weights['user'][user])
        logits = self.scale * (hidden @ weights['head']) / temperature
        return logits - np.log(np.sum(np.exp(logits - logits.max()))) - logits.max()


def python_beam_search(
    model: RecurrentModel, tokens: np.ndarray, shown: set[int], user: int, beam_size: int, temperature: float
) -> list[tuple[int, float]]:
    """(item, score) of the beams left at the end, best first; `shown` are the items that may be found."""
    item_of = {tuple(tokens[item].tolist()): item for item in shown}
    beams = [((), 0.0)]
    for level in range(tokens.shape[1]):
        prefixes = {sequence[: level + 1] for sequence in item_of}
        grown = []
        for prefix, score in beams:
            log_probs = model.log_probs(user, prefix, temperature)
            grown += [
                ((*prefix, token), score + log_probs[token])
                for token in range(model.vocab)
                if (*prefix, token) in prefixes
            ]
        beams = sorted(grown, key=lambda beam: -beam[1])[:beam_size]
    return [(item_of[prefix], score) for prefix, score in beams]

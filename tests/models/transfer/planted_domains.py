"""Two domains with other items and one law: what an item says decides what comes next."""

import dataclasses

import numpy as np

from llmrec_jax.corpora.splits import Sequences

TOPICS = 6
TEXT_DIM = 8
KEPT = 0.9


@dataclasses.dataclass(frozen=True)
class Domain:
    """A planted domain.

    Attributes:
      topic: of each item.
      vectors: of each item's text, which tell its topic and little else.
      histories: of the users.
    """

    topic: np.ndarray
    vectors: np.ndarray
    histories: Sequences


# What topic follows a topic; no topic follows itself, so that alike texts are never next to one another.
LAW = np.roll(np.arange(TOPICS), 1)
OTHER_LAW = np.roll(np.arange(TOPICS), -2)


def planted_domain(seed: int, items: int = 24, users: int = 150, length: int = 8, law=LAW) -> Domain:
    """A domain whose users go from topic to topic by the law 9 times in 10, and anywhere else once.

    Every domain has the same text generator: one direction a topic, and noise.
    """
    rng = np.random.default_rng(seed)
    topic = np.arange(items) % TOPICS
    directions = np.linalg.qr(np.random.default_rng(99).standard_normal((TEXT_DIM, TEXT_DIM)))[0][:TOPICS]
    vectors = directions[topic] + 0.1 * rng.standard_normal((items, TEXT_DIM))
    histories = np.empty((users, length), np.int64)
    current = rng.integers(0, TOPICS, users)
    for place in range(length):
        histories[:, place] = TOPICS * rng.integers(0, items // TOPICS, users) + current
        strays = rng.random(users) > KEPT
        current = np.where(strays, rng.integers(0, TOPICS, users), law[current])
    sequences = Sequences(histories.reshape(-1), np.arange(users + 1) * length)
    return Domain(topic, vectors.astype(np.float32), sequences)

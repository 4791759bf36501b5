"""How much of what ranking holds out the families of reviews show, where they are split by themselves."""

import dataclasses

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import TEST, TRAIN, VALIDATION

ROLES = ('train', 'validation', 'test')


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How much of what ranking holds out is shown in training by another family.

    Attributes:
      validation: share of the validation pairs (user, item) of ranking that are shown.
      test: share of its test pairs.
    """

    validation: float
    test: float


def overlap(ranking: Int[np.ndarray, 'events'], roles: Int[np.ndarray, 'events']) -> Overlap:
    """Counts the events that ranking holds out and `roles` trains on (papers: P5's cross-task leak).

    Args:
      ranking: the role of each event under the split that ranks.
      roles: under that of a family of reviews.
    """
    shown = {
        role: float((roles[ranking == role] == TRAIN).mean()) if (ranking == role).any() else 0.0
        for role in (VALIDATION, TEST)
    }
    return Overlap(validation=shown[VALIDATION], test=shown[TEST])

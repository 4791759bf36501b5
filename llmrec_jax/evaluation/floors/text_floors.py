"""The floors of tasks that are answered in words: means for ratings, what is said most for the rest."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from jaxtyping import Int

from llmrec_jax.evaluation.floors.frequent_text import FrequentText
from llmrec_jax.evaluation.floors.rating_means import RatingMeans
from llmrec_jax.evaluation.measured import Tally
from llmrec_jax.evaluation.rating_metrics import predicted_rating_tally, true_stars
from llmrec_jax.evaluation.text_answers import CHOICES, text_tally


def rating_floor_tallies(
    floors: Mapping[str, RatingMeans],
    user: Int[np.ndarray, 'examples'],
    item: Int[np.ndarray, 'examples'],
    targets: Sequence[str],
    lowest: float = 1.0,
    highest: float = 5.0,
) -> dict[str, Tally]:
    """Metrics of every floor, as `rating_tally` names them.

    Args:
      floors: fitted on training ratings; see `rating_means.rating_floors`.
      user: row of each example's user; -1 where training does not know them.
      item: row of each example's item; -1 where training does not know it.
      targets: the ratings given, as texts.
      lowest: fewest stars on the scale.
      highest: most stars.

    Raises:
      ValueError: when a target is no rating.
    """
    truth = true_stars(targets, lowest, highest)
    return {
        name: predicted_rating_tally(truth, floor.stars(user, item), lowest, highest)
        for name, floor in floors.items()
    }


def frequent_text_tallies(
    kind: str, floor: FrequentText, targets: Sequence[str], items: Sequence[Hashable] | None = None
) -> dict[str, Tally]:
    """Metrics of the most frequent training text, and of the most frequent one of each item.

    The first is called 'majority' where the answer is a choice and 'most_frequent_sentence' elsewhere; the
    second has '_of_item' behind its name.

    Args:
      kind: of the answers: 'yes_no', 'like' or 'sentence'.
      floor: fitted on training answers.
      targets: the right answers.
      items: what each example is about, as the floor's keys; None leaves the second out.

    Raises:
      ValueError: as `text_tally` raises it.
    """
    name = 'majority' if kind in CHOICES else 'most_frequent_sentence'
    answers = {name: [floor.text] * len(targets)}
    if items is not None:
        answers[f'{name}_of_item'] = floor.answers(items)
    return {called: text_tally(kind, targets, given) for called, given in answers.items()}

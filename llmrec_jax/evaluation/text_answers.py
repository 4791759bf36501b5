"""The kinds of answer that are texts, each with the metrics that judge it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from llmrec_jax.evaluation.choice_metrics import LIKE, YES_NO, choice_tally
from llmrec_jax.evaluation.generation_metrics import generation_tally
from llmrec_jax.evaluation.measured import Tally
from llmrec_jax.evaluation.rating_metrics import rating_tally

CHOICES = {'yes_no': YES_NO, 'like': LIKE}
TEXT_ANSWERS = ('stars', *CHOICES, 'sentence')


def text_tally(
    kind: str,
    targets: Sequence[str],
    predictions: Sequence[str],
    *,
    lowest: float = 1.0,
    highest: float = 5.0,
    scores: Float[np.ndarray, 'examples'] | None = None,
) -> Tally:
    """Judges answers of one kind.

    Args:
      kind: 'stars' (see `rating_tally`), 'yes_no' or 'like' (see `choice_tally`), 'sentence' (see
        `generation_tally`).
      targets: the right answers, as rendered.
      predictions: the model's.
      lowest: fewest stars on the scale, for 'stars'.
      highest: most stars, for 'stars'.
      scores: how probable 'yes' or 'like' is, for the choices; None leaves the area under the curve out.

    Raises:
      ValueError: when there is no such kind, or see the kind's function.
    """
    if kind == 'stars':
        return rating_tally(targets, predictions, lowest, highest)
    if kind in CHOICES:
        return choice_tally(targets, predictions, CHOICES[kind], scores)
    if kind == 'sentence':
        return generation_tally(targets, predictions)
    raise ValueError(f'{kind!r} is no kind of answer in text; there are {", ".join(TEXT_ANSWERS)}')

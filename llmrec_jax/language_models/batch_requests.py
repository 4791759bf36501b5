"""Asking for many texts with a bar that shows how far it is and what it has cost."""

import dataclasses
import logging
import sys
import time
from collections.abc import Sequence

from tqdm import tqdm

from llmrec_jax.language_models.language_model import (
    LanguageModel,
    TextFailure,
    TextRequest,
    TextResponse,
    check_failures,
)
from llmrec_jax.language_models.usage import Prices, Usage

LOG = logging.getLogger(__name__)
# Where there is no terminal, a bar is a line of the log, this often.
SECONDS_BETWEEN_LINES = 60.0


@dataclasses.dataclass(frozen=True)
class Asked:
    """What came of many requests.

    Attributes:
      outcomes: of each request, in their order.
      usage: tally of them.
    """

    outcomes: list[TextResponse | TextFailure]
    usage: Usage


def ask_all(
    model: LanguageModel,
    requests: Sequence[TextRequest],
    *,
    prices: Prices | None = None,
    unit: str = 'text',
    max_failed_share: float = 0.0,
) -> Asked:
    """Asks `model` for all texts and shows progress on standard error.

    Args:
      model: whom to ask.
      requests: for what.
      prices: shows the cost so far.
      unit: what one text is called in the bar, e.g. 'user'.
      max_failed_share: share of the requests that may fail.

    Raises:
      LanguageModelError: as the model does; or when more failed, once the others were answered.
    """
    outcomes: dict[int, TextResponse | TextFailure] = {}
    usage = Usage()
    told = time.monotonic()
    on_terminal = sys.stderr.isatty()
    with tqdm(total=len(requests), unit=unit, desc=model.name, disable=not on_terminal) as bar:
        for answer in model.answers(requests):
            outcomes[answer.index] = answer.outcome
            usage.add(answer)
            bar.update()
            bar.set_postfix_str(_so_far(usage, prices), refresh=False)
            if not on_terminal and time.monotonic() - told > SECONDS_BETWEEN_LINES:
                told = time.monotonic()
                LOG.info('%s: %d of %d, %s', model.name, len(outcomes), len(requests), _so_far(usage, prices))
    LOG.info('%s: %d of %d, %s', model.name, usage.responses, len(requests), _so_far(usage, prices))
    in_order = [outcomes[index] for index in range(len(requests))]
    check_failures(model.name, in_order, max_failed_share)
    return Asked(in_order, usage)


def _so_far(usage: Usage, prices: Prices | None) -> str:
    parts = [f'{usage.from_store} stored before', f'{usage.now.input + usage.now.output} tokens']
    if usage.retries:
        parts.append(f'{usage.retries} retries')
    if usage.failures:
        parts.append(f'{usage.failures} failed')
    if prices is not None:
        parts.append(f'{prices.cost(usage.now):.4f} {prices.currency}')
    return ', '.join(parts)

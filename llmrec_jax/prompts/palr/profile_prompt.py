"""What a language model is asked for a user's profile (PALR): keywords, and the items that show them.

The paper's own wording is not public; this keeps its parts: the task, the form of the answer with slots for
keywords and for history items, and the history with each item's own keywords.
"""

import dataclasses
from collections.abc import Sequence

_INSTRUCTION = (
    'Describe what a user likes in {count} keywords.\n'
    'Below is what the user chose, oldest first, each item with its own keywords in brackets. Find the '
    '{count} keywords that tell best what these items have in common. A keyword is one to three words. '
    'Behind each keyword, list the items that show it, by their names exactly as they are written below.\n'
    '\n'
    'Answer in this form and add nothing to it:\n'
    '{form}\n'
    '\n'
    'Items:\n'
    '{items}'
)
_SLOT = 'KEYWORD_{number}: keyword\nHISTORY_ITEMS_{number}: "name", "name"'


@dataclasses.dataclass(frozen=True)
class ShownItem:
    """An item of a history as the prompt shows it.

    Attributes:
      name: without quotation marks; no two items of a history have the same.
      keywords: its own, e.g. genres; may be empty.
    """

    name: str
    keywords: tuple[str, ...] = ()


def profile_prompt(history: Sequence[ShownItem], count: int) -> str:
    """The prompt for `count` keywords of a user with this history, oldest item first.

    Raises:
      ValueError: when there is no item, or no keyword is asked for.
    """
    if not history or count < 1:
        raise ValueError(f'{count} keywords of {len(history)} items cannot be asked for')
    return _INSTRUCTION.format(
        count=count,
        form='\n'.join(_SLOT.format(number=number) for number in range(1, count + 1)),
        items='\n'.join(_line(item) for item in history),
    )


def _line(item: ShownItem) -> str:
    keywords = f' [{", ".join(item.keywords)}]' if item.keywords else ''
    return f'- "{item.name}"{keywords}'

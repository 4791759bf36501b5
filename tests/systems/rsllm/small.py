"""A catalogue of four titles and a vocabulary that spells them, for tests of prompts."""

import dataclasses
from collections.abc import Iterable

from llmrec_jax.systems.rsllm.prompts import PromptForm, Prompts

NAMES = ('red boat', 'blue boat', 'red kite', 'green kite', 'old tent')
FORM = PromptForm(
    max_history=2, candidates=3, before_history='had', before_candidates='from', before_answer='next'
)


@dataclasses.dataclass(frozen=True)
class Words:
    """A vocabulary of whole words: 0 pads, 1 ends, 2 is any other."""

    words: tuple[str, ...]
    eos_id = 1

    def encode(self, text: str) -> list[int]:
        known = {word: token for token, word in enumerate(self.words, 3)}
        return [known.get(word, 2) for word in text.split()]

    def decode(self, ids: Iterable[int]) -> str:
        tokens = list(ids)
        ended = tokens[: tokens.index(1)] if 1 in tokens else tokens
        return ' '.join(self.words[token - 3] for token in ended if token > 2)


def prompts(form=FORM, words='[ID] had from next , red blue green old boat kite tent') -> Prompts:
    return Prompts(form, NAMES, Words(tuple(words.split())))

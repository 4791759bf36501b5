"""Every kind of answer by its name."""

from collections.abc import Mapping

from llmrec_jax.evaluation.answer_kinds.items import Item, ItemList, ItemOfCandidates, YesNoRanking
from llmrec_jax.evaluation.answer_kinds.kind import AnswerKind
from llmrec_jax.evaluation.answer_kinds.words import Like, Sentence, Stars, YesNo

ANSWER_KINDS: Mapping[str, AnswerKind] = {
    kind.name: kind()
    for kind in (Stars, YesNo, Like, Sentence, Item, ItemOfCandidates, YesNoRanking, ItemList)
}


def answer_kind(name: str) -> AnswerKind:
    """The kind of that name.

    Raises:
      ValueError: when there is none.
    """
    if name not in ANSWER_KINDS:
        raise ValueError(f'{name!r} is no kind of answer; there are {", ".join(ANSWER_KINDS)}')
    return ANSWER_KINDS[name]

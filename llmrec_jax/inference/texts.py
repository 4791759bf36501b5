"""Answers to texts that come as JSON lines."""

import dataclasses
import itertools
import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from llmrec_jax.corpora.raw_files import bad_line, well_formed
from llmrec_jax.evaluation.text_writer import TextWriter

LOG = logging.getLogger(__name__)
LINES_AT_ONCE = 4096
EXPECTED = '{"inputs": "..."}, the text as the task gives it to the network'


@dataclasses.dataclass(frozen=True)
class AskedTexts:
    """Texts as `infer` answers them; see `asked_files.Parse` for `parse`.

    Attributes:
      writer: of a trained system.
    """

    writer: TextWriter

    def parse(self, name: str, number: int, record: dict[str, Any]) -> str:
        """The text that one line asks about.

        Raises:
          ValueError: naming the line, when it has none.
        """
        text = record.get('inputs')
        if not isinstance(text, str) or not text.strip():
            bad_line(name, number, "no text in 'inputs'", EXPECTED)
        if text != well_formed(text):
            bad_line(name, number, f"'inputs' is {text!a}, which holds half a character", 'whole ones')
        return text

    def answers(self, asked: Iterable[str]) -> Iterator[str]:
        """One JSON line for each text, `{"inputs": ..., "prediction": ..., "score": ...}`, in their order."""
        remaining, cut = iter(asked), 0
        while part := list(itertools.islice(remaining, LINES_AT_ONCE)):
            for text, answer in zip(part, self.writer.write(part), strict=True):
                cut += answer.cut
                told = {'inputs': text, 'prediction': answer.text, 'score': answer.score}
                yield json.dumps(told, ensure_ascii=False)
        if cut:
            LOG.warning(
                '%d texts are longer than the network was trained to read, and were cut at their end', cut
            )

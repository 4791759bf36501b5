"""A trained network that answers texts as the examples that it was trained on ask them."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from llmrec_jax.evaluation.text_writer import WrittenText
from llmrec_jax.models.inference import TextDecoder
from llmrec_jax.stages.prompt_evaluation.decoding_config import check_batch
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel, on_every_process, written
from llmrec_jax.text.text_vocabulary import TextVocabulary


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedWriter:
    """See `evaluation.text_writer.TextWriter`.

    Attributes:
      network: with its parameters.
      vocabulary: of its texts.
      decoder: writes the answers; the first of several is taken.
      input_length: tokens of a text at most, its end token included; what is longer is cut at its end.
      batch_size: texts at once; a multiple of the devices.

    Raises:
      ValueError: when the devices cannot share a batch, or the network has no room for the vocabulary.
    """

    network: PlacedModel
    vocabulary: TextVocabulary
    decoder: TextDecoder
    input_length: int
    batch_size: int

    def __post_init__(self):
        check_batch(self.batch_size, 'the number of texts answered at once')
        room = self.network.model.module.config.vocab_size
        if self.vocabulary.size > room:
            raise ValueError(
                f'{self.vocabulary.path} has {self.vocabulary.size} tokens, but the network has room for '
                f'{room}'
            )

    def write(self, texts: Sequence[str]) -> Iterator[WrittenText]:
        """See `TextWriter.write`.

        Raises:
          ValueError: when the network gives scores that are no numbers.
        """
        tokens = [self.vocabulary.encode(text) for text in texts]
        for start in range(0, len(tokens), self.batch_size):
            yield from self._answers(tokens[start : start + self.batch_size])

    def _answers(self, tokens: Sequence[Sequence[int]]) -> Iterator[WrittenText]:
        network = self.network
        # A last batch is filled up with repeats, so that one shape is compiled.
        places = np.resize(np.arange(len(tokens)), self.batch_size)
        inputs = np.zeros((self.batch_size, self.input_length), np.int32)
        for row, place in zip(inputs, places.tolist(), strict=True):
            whole = [*tokens[place][: self.input_length - 1], self.vocabulary.eos_id]
            row[: len(whole)] = whole
        features, rows = network.features(inputs), network.dealt(places.astype(np.int32))
        answers = on_every_process(written(network.model, self.decoder, 0, network.params, features, rows))
        for place, question in enumerate(tokens):
            score = float(answers.scores[place, 0])
            if np.isnan(score):
                raise ValueError('the network gives scores that are no numbers; take another --checkpoint')
            length = int(answers.lengths[place, 0])
            text = self.vocabulary.decode(answers.tokens[place, 0, :length].tolist())
            yield WrittenText(text, score, len(question) >= self.input_length)

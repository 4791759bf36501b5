"""A T5 on this machine's devices as a language model."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int, PyTree

from llmrec_jax.decoding.sampling import Greedy, Sampling
from llmrec_jax.language_models.language_model import (
    Answer,
    LanguageModel,
    LanguageModelError,
    SamplingSettings,
    TextFailure,
    TextRequest,
    TextResponse,
)
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.runs.fingerprint import fingerprint
from llmrec_jax.stages.prompt_evaluation.params_fingerprint import params_fingerprint
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel, written
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.training.mesh import LogicalRules, MeshShape, logical_rules
from llmrec_jax.training.parameter_restore import restore_params
from llmrec_jax.training.train_state import abstract_params


@dataclasses.dataclass(frozen=True, eq=False)
class LocalT5(LanguageModel):
    """A T5 or Flan-T5 from a checkpoint. SentencePiece reads a line break as a space, and writes none.

    A text depends on its request alone, not on what is asked beside it (but for the rounding of another batch
    size or bucket). Of a run of many processes, the one that asks uses its own devices.

    Attributes:
      model: the network.
      checkpoint: a folder `checkpoint_<step>`, this library's or T5X's, local or `gs://`.
      vocabulary: the SentencePiece model's file, local or `gs://`.
      extra_ids: tokens added to those of the file.
      input_length: tokens of a prompt at most, its end token included; a longer one fails, uncut.
      length_buckets: shorter lengths that a batch of short prompts may be padded to; each costs a
        compilation.
      batch_size: prompts at once; a multiple of the devices.
      mesh: how the devices share the network.
      logical_axis_rules: which axes of the parameters they share.
    """

    model: EncoderDecoderModel
    checkpoint: str
    vocabulary: str
    extra_ids: int = 100
    input_length: int = 512
    length_buckets: Sequence[int] = ()
    batch_size: int = 16
    mesh: MeshShape = dataclasses.field(default_factory=MeshShape)
    logical_axis_rules: LogicalRules | str = 'standard'

    @functools.cached_property
    def name(self) -> str:
        """'t5-' and a hash of parameters, configuration and vocabulary; the first call loads them."""
        made_of = (params_fingerprint(self._params), self.model.module.config, self._vocabulary.fingerprint)
        return f't5-{fingerprint(made_of, self.extra_ids)[:16]}'

    def answers(self, requests: Sequence[TextRequest]) -> Iterator[Answer]:
        """See `LanguageModel.answers`; the shortest prompts of the same settings come first.

        Raises:
          CheckpointError: when the checkpoint is absent, damaged, or of another network.
          LanguageModelError: when the network gives scores that are no numbers.
          ValueError: when the vocabulary has more tokens than the network, or the batch cannot be dealt out
            to the devices.
        """
        if not requests:
            return
        tokens = [self._tokens(request) for request in requests]
        by_settings: dict[SamplingSettings, list[int]] = {}
        for index, row in enumerate(tokens):
            if len(row) > self.input_length:
                yield Answer(index, self._too_long(len(row)))
            else:
                by_settings.setdefault(requests[index].sampling, []).append(index)
        for settings, indices in by_settings.items():
            ordered = sorted(indices, key=lambda index: len(tokens[index]))
            for start in range(0, len(ordered), self.batch_size):
                batch = ordered[start : start + self.batch_size]
                yield from self._answer(
                    batch, [requests[index] for index in batch], [tokens[index] for index in batch], settings
                )

    def _answer(
        self,
        indices: Sequence[int],
        requests: Sequence[TextRequest],
        tokens: Sequence[Sequence[int]],
        settings: SamplingSettings,
    ) -> Iterator[Answer]:
        network = self._network
        places = np.resize(np.arange(len(indices)), self.batch_size)
        features = network.features(self._padded([tokens[place] for place in places]))
        rows = network.dealt(np.asarray([_row(requests[place]) for place in places], np.int32))
        texts = jax.device_get(
            written(self.model, decoder(settings), settings.seed or 0, network.params, features, rows)
        )
        if np.isnan(texts.scores).any():
            raise LanguageModelError(
                f'{self.checkpoint}: the network gives scores that are no numbers; take another checkpoint'
            )
        for place, index in enumerate(indices):
            length = int(texts.lengths[place, 0])
            yield Answer(index, self._response(texts.tokens[place, 0, :length], len(tokens[place]), settings))

    def _response(
        self, tokens: Int[np.ndarray, 'length'], input_tokens: int, settings: SamplingSettings
    ) -> TextResponse:
        vocabulary = self._vocabulary
        text = vocabulary.decode(tokens.tolist())
        ends = [text.index(stop) for stop in settings.stop if stop in text]
        ended = bool(ends) or vocabulary.eos_id in tokens
        return TextResponse(
            text=text[: min(ends)].rstrip() if ends else text,
            finish='stop' if ended else 'length',
            input_tokens=input_tokens,
            output_tokens=len(tokens),
            model=self.name,
        )

    def _tokens(self, request: TextRequest) -> list[int]:
        text = f'{request.system}\n{request.prompt}' if request.system else request.prompt
        return [*self._vocabulary.encode(text), self._vocabulary.eos_id]

    def _padded(self, tokens: Sequence[Sequence[int]]) -> Int[np.ndarray, 'batch length']:
        longest = max(map(len, tokens))
        length = min(size for size in (*self.length_buckets, self.input_length) if size >= longest)
        padded = np.zeros((len(tokens), length), np.int32)
        for row, line in zip(padded, tokens, strict=True):
            row[: len(line)] = line
        return padded

    def _too_long(self, length: int) -> TextFailure:
        return TextFailure(
            f'a prompt of {length} tokens is longer than LocalT5.input_length={self.input_length}: raise it, '
            'or show less in the prompt'
        )

    @functools.cached_property
    def _vocabulary(self) -> TextVocabulary:
        vocabulary = TextVocabulary.load(self.vocabulary, self.extra_ids)
        room = self.model.module.config.vocab_size
        if vocabulary.size > room:
            raise ValueError(
                f'{self.vocabulary} has {vocabulary.size} tokens with LocalT5.extra_ids={self.extra_ids}, '
                f'but the network has room for {room}'
            )
        return vocabulary

    @functools.cached_property
    def _network(self) -> PlacedModel:
        devices = len(jax.local_devices())
        if self.batch_size % devices:
            raise ValueError(f'LocalT5.batch_size={self.batch_size} does not divide over {devices} devices')
        return PlacedModel(self.model, self._params, self._vocabulary)

    @functools.cached_property
    def _params(self) -> PyTree[Array]:
        blank = {'inputs': np.zeros((1, 1), np.int32), 'targets': np.zeros((1, 1), np.int32)}
        features = {
            name: jax.ShapeDtypeStruct(array.shape, array.dtype)
            for name, array in self.model.convert_features(blank).items()
        }
        mesh = self.mesh.build(jax.local_devices())
        rules = logical_rules(self.logical_axis_rules)
        return restore_params(self.checkpoint, abstract_params(self.model, features, mesh, rules))


def decoder(settings: SamplingSettings) -> Any:
    """What writes texts by `settings`; without a temperature, by the network's own distribution."""
    if settings.temperature == 0:
        return Greedy(settings.max_tokens)
    temperature = 1.0 if settings.temperature is None else settings.temperature
    return Sampling(settings.max_tokens, temperature=temperature, top_p=settings.top_p)


def _row(request: TextRequest) -> int:
    """A number of 31 bits that tells a request from others, from which its draws follow."""
    asked = f'{request.draw}\x00{request.system}\x00{request.prompt}'
    return int.from_bytes(hashlib.sha256(asked.encode()).digest()[:4], 'big') >> 1

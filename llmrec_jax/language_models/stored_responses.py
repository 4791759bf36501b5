"""A language model whose responses are kept, so that the same text is asked for once in all runs."""

import dataclasses
from collections.abc import Iterator, Sequence

from llmrec_jax.language_models.language_model import LanguageModel
from llmrec_jax.language_models.request import Answer, TextFailure, TextRequest, TextResponse
from llmrec_jax.language_models.response_file import ResponseFile


@dataclasses.dataclass(frozen=True)
class StoredResponses(LanguageModel):
    """Answers from a file, and asks `model` for what is not there; every new response is stored at once.

    A run that is killed therefore loses no response that has come, and pays again at most for those that were
    under way. Failures are not stored: the next run asks again.

    Attributes:
      model: whom to ask.
      path: the file, see `response_file`; it may hold responses of many models.
    """

    model: LanguageModel
    path: str

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    def answers(self, requests: Sequence[TextRequest]) -> Iterator[Answer]:
        """See `LanguageModel.answers`; what is stored comes first. Requests that are alike are asked once.

        Raises:
          LanguageModelError: as `model` does.
          ValueError, OSError: as `ResponseFile`.
        """
        with ResponseFile(self.path) as stored:
            missing: dict[str, list[int]] = {}
            for index, request in enumerate(requests):
                key = request.key(self.name)
                response = stored.get(key)
                if response is None:
                    missing.setdefault(key, []).append(index)
                else:
                    yield Answer(index, response, attempts=0)
            keys = list(missing)
            for answer in self.model.answers([requests[missing[key][0]] for key in keys]):
                key = keys[answer.index]
                if isinstance(answer.outcome, TextResponse):
                    stored.add([(key, answer.outcome)])
                first, *alike = missing[key]
                yield dataclasses.replace(answer, index=first)
                for index in alike:
                    yield Answer(index, answer.outcome, attempts=0)


@dataclasses.dataclass(frozen=True)
class OfflineModel(LanguageModel):
    """Stands for a model that is not to be asked: behind `StoredResponses`, what was stored is all there is.

    Attributes:
      model: name of the model whose responses were stored.
    """

    model: str

    @property
    def name(self) -> str:
        """The model's."""
        return self.model

    def answers(self, requests: Sequence[TextRequest]) -> Iterator[Answer]:
        """A failure for each request."""
        for index in range(len(requests)):
            yield Answer(index, TextFailure(f'no response of {self.model} to it is stored'), attempts=0)

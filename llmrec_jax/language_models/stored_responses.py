"""A language model whose responses are kept, so that the same text is asked for once in all runs.

They are an append-only file of JSON lines, keyed by a hash. A line is
`{"key": ..., "text": ..., "finish": ..., "input_tokens": ..., "output_tokens": ..., "model": ...}`.
Prompts are not in it: they tell of users, and the hash is enough to find the response again.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

from llmrec_jax.language_models.language_model import (
    Answer,
    LanguageModel,
    TextFailure,
    TextRequest,
    TextResponse,
)
from llmrec_jax.ownership.lock import Lock, beside

FIELDS = {field.name for field in dataclasses.fields(TextResponse)}


class ResponseFile:
    """The responses that were stored, in memory, and the open file that takes more.

    One process at a time has it open: two that ask for the same text would both pay for it.
    """

    def __init__(self, path: str | os.PathLike):
        """Opens the file, or begins it.

        A line that a killed process did not complete is cut off.

        Args:
          path: of the file; folders above it are made.

        Raises:
          ValueError: naming the line that is no stored response.
          InUseError: when another process has the file open.
          OSError: when it cannot be read or written.
        """
        self.path = pathlib.Path(path)
        self._lock = Lock(beside(self.path), self.path, 'a run that asks a language model', overriding=None)
        with contextlib.ExitStack() as opened:
            opened.callback(self._lock.release)
            # Without a buffer, so that a failed write leaves nothing behind that closing would write again.
            self._file = opened.enter_context(self.path.open('ab', buffering=0))
            self._responses, self._end = self._read()
            self._file.truncate(self._end)
            opened.pop_all()

    def __enter__(self) -> 'ResponseFile':
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._responses)

    def get(self, key: str) -> TextResponse | None:
        """The response stored under a key (`TextRequest.key`); None where there is none."""
        return self._responses.get(key)

    def add(self, responses: Iterable[tuple[str, TextResponse]]) -> None:
        """Stores responses under their keys; when it returns they are on the disk.

        Raises:
          OSError: naming the file, when it cannot be written.
        """
        added = dict(responses)
        lines = [
            json.dumps({'key': key, **dataclasses.asdict(response)}, ensure_ascii=False) + '\n'
            for key, response in added.items()
        ]
        content = ''.join(lines).encode()
        try:
            written = 0
            while written < len(content):
                written += self._file.write(content[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self._end)
            raise OSError(error.errno, f'cannot be written: {error.strerror}', str(self.path)) from error
        self._end += len(content)
        self._responses.update(added)

    def close(self) -> None:
        """Lets other processes have it."""
        self._file.close()
        self._lock.release()

    def _read(self) -> tuple[dict[str, TextResponse], int]:
        """The responses, and where the last whole line ends."""
        responses: dict[str, TextResponse] = {}
        end = 0
        with self.path.open('rb') as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b'\n'):
                    break
                key, response = self._parse(number, line)
                responses[key] = response
                end += len(line)
        return responses, end

    def _parse(self, number: int, line: bytes) -> tuple[str, TextResponse]:
        try:
            record = json.loads(line)
            return record['key'], TextResponse(**{name: record[name] for name in FIELDS})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{self.path}, line {number}: no stored response ({error}); restore the file, or delete the '
                'line, and its text will be asked for again'
            ) from error


@dataclasses.dataclass(frozen=True)
class StoredResponses(LanguageModel):
    """Answers from a file, and asks `model` for what is not there; every new response is stored at once.

    A run that is killed therefore loses no response that has come, and pays again at most for those that were
    under way. Failures are not stored: the next run asks again.

    Attributes:
      model: whom to ask.
      path: the file, see `ResponseFile`; it may hold responses of many models.
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

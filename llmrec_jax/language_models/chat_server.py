"""A server that speaks OpenAI's chat protocol: OpenAI itself, vLLM, llama.cpp, Ollama and many others."""

import dataclasses
import functools
import hashlib
import logging
import os
import re
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmrec_jax.language_models import chat_completions, exchange
from llmrec_jax.language_models.language_model import (
    Answer,
    LanguageModel,
    LanguageModelError,
    TextFailure,
    TextRequest,
    TextResponse,
)
from llmrec_jax.language_models.workers import Pace, results

LOG = logging.getLogger(__name__)
# What may pass: timeouts, conflicts, rate limits and faults of the server. All else is the request's fault.
PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}
# What no request is spared: the key is wrong, the account may not, the model or the address is not there.
HOPELESS = {301, 302, 303, 307, 308, 401, 402, 403, 404, 405}
# OpenAI's status 429 for an account without money.
HOPELESS_CODES = {'insufficient_quota', 'billing_hard_limit_reached', 'model_not_found', 'invalid_api_key'}


@dataclasses.dataclass(frozen=True)
class ChatServer(LanguageModel):
    """Asks a server for texts, many at once, and survives what servers do.

    A request that times out or breaks off, is answered with a passing status (429, 500, ...) or with nonsense
    is asked again after a wait that doubles each time, or as long as `Retry-After` says. Status 429 holds all
    requests back, not only the one that met it.

    Attributes:
      base_url: up to the protocol's version, e.g. 'https://api.openai.com/v1' or 'http://localhost:8000/v1'.
      model: as the server calls it; also its name in the keys of stored responses, so that responses stay
        valid when the server moves.
      api_key_variable: the environment variable that holds the key; None for a server that wants none. The
        key itself is read when the first request is made, and is neither kept nor shown.
      concurrency: requests under way at once.
      requests_per_minute: how many may start; None for no bound but the server's own.
      timeout_seconds: for one attempt, until the last byte of the reply.
      max_attempts: for one request.
      first_wait_seconds: before the second attempt.
      longest_wait_seconds: between two attempts; a server that asks for longer ends the run.
      give_up_after: requests that fail in a row, each after all its attempts, before the run ends.
      length_field: what the server calls `SamplingSettings.max_tokens`; newer OpenAI models call it
        'max_completion_tokens'.
      extra_fields: more fields of the request, e.g. {'reasoning_effort': 'low'}; part of the model's name.

    Raises:
      ValueError: when a field is none that can be had.
    """

    base_url: str
    model: str
    api_key_variable: str | None = None
    concurrency: int = 8
    requests_per_minute: int | float | None = None
    timeout_seconds: int | float = 120.0
    max_attempts: int = 8
    first_wait_seconds: int | float = 1.0
    longest_wait_seconds: int | float = 120.0
    give_up_after: int = 16
    length_field: str = 'max_tokens'
    extra_fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        parts = urllib.parse.urlsplit(self.base_url)
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                'ChatServer.base_url must not hold a password: name the variable that holds the key'
            )
        if parts.scheme not in ('http', 'https') or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                f"ChatServer.base_url={self.base_url!r} is no address such as 'http://localhost:8000/v1'"
            )
        if self.api_key_variable is not None and not re.fullmatch(r'[A-Za-z_]\w*', self.api_key_variable):
            # Someone may have put the key itself here.
            raise ValueError(
                'ChatServer.api_key_variable must be the name of an environment variable, such as '
                "'OPENAI_API_KEY'"
            )
        for name in ('concurrency', 'max_attempts', 'give_up_after'):
            if getattr(self, name) < 1:
                raise ValueError(f'ChatServer.{name} must be at least 1, not {getattr(self, name)}')
        for name in ('requests_per_minute', 'timeout_seconds', 'first_wait_seconds', 'longest_wait_seconds'):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ValueError(f'ChatServer.{name} must be above 0, not {getattr(self, name)}')

    @property
    def name(self) -> str:
        """The model's name, and the extra fields where there are any."""
        extra = ', '.join(f'{field}={value!r}' for field, value in sorted(self.extra_fields.items()))
        return f'{self.model} ({extra})' if extra else self.model

    def answers(self, requests: Sequence[TextRequest]) -> Iterator[Answer]:
        """See `LanguageModel.answers`.

        Raises:
          LanguageModelError: when the key's variable is not set; when the server refuses the key, the model
            or the address, or has no valid certificate; and when `give_up_after` requests fail in a row.
        """
        if not requests:
            return
        stop = threading.Event()
        connection = _Connection(self, Pace(self.requests_per_minute, stop))
        in_a_row = 0
        for index, (outcome, attempts) in results(connection.ask, requests, self.concurrency, stop):
            yield Answer(index, outcome, attempts)
            in_a_row = in_a_row + 1 if isinstance(outcome, TextFailure) else 0
            if in_a_row >= self.give_up_after:
                stop.set()
                raise LanguageModelError(
                    f'{in_a_row} requests to {self.base_url} failed in a row, the last: {outcome.reason}'
                )


class _Connection:
    """A server with the key, for the time of one call of `answers`."""

    def __init__(self, server: ChatServer, pace: Pace):
        self.server = server
        self.pace = pace
        self.url = f'{server.base_url.rstrip("/")}/chat/completions'
        self.sender = exchange.opener(server.base_url)
        self.key = _key(server.api_key_variable)

    def ask(self, request: TextRequest) -> tuple[TextResponse | TextFailure, int]:
        """What became of a request, and after how many attempts."""
        server = self.server
        content = chat_completions.body(server.model, request, server.length_field, server.extra_fields)
        digest = hashlib.sha256(content).digest()
        for attempt in range(1, server.max_attempts + 1):
            self.pace.wait()
            try:
                reply = exchange.post(
                    self.sender, self.url, content, self.headers, float(server.timeout_seconds)
                )
                return chat_completions.read_reply(reply, server.model), attempt
            except (exchange.ExchangeError, chat_completions.NonsenseError) as error:
                fault = self._fault(error)
                if not fault.passes:
                    return TextFailure(fault.reason), attempt
                last = fault
            if attempt < server.max_attempts:
                wait = self._wait(attempt, digest, last)
                level = logging.INFO if attempt > 1 else logging.DEBUG
                LOG.log(level, '%s: %s; asking again in %.1f s', server.name, last.reason, wait)
                if last.holds_all:
                    self.pace.hold(wait)
                else:
                    self.pace.pause(wait)
        return TextFailure(f'{last.reason}, the last of {server.max_attempts} attempts'), server.max_attempts

    @functools.cached_property
    def headers(self) -> dict[str, str]:
        """Of every request."""
        authorization = {'Authorization': f'Bearer {self.key}'} if self.key else {}
        return {'Content-Type': 'application/json', 'Accept': 'application/json', **authorization}

    def _fault(self, error: exchange.ExchangeError | chat_completions.NonsenseError) -> '_Fault':
        """What an error means for its request.

        Raises:
          LanguageModelError: when it means that no request will be answered.
        """
        if isinstance(error, chat_completions.NonsenseError):
            return _Fault(str(error))
        code, message = chat_completions.error_message(error.content)
        if self.key:
            # Some servers repeat the key that they refuse.
            message = message.replace(self.key, '***')
        said = f': {message[:300]}' if message else ''
        reason = f'{error}{said}'
        if error.untrusted:
            raise LanguageModelError(f'{self.url} cannot be trusted: {reason}')
        if error.status in HOPELESS or code in HOPELESS_CODES:
            raise LanguageModelError(f'{self.url} refuses {self.server.model!r} ({reason})')
        longest = self.server.longest_wait_seconds
        if error.retry_after is not None and error.retry_after > longest:
            raise LanguageModelError(
                f'{self.url} asks to wait {error.retry_after:.0f} s, and ChatServer.longest_wait_seconds is '
                f'{longest:g} ({reason}): run again later, and what was answered is not asked again'
            )
        passes = error.status is None or error.status in PASSING
        return _Fault(reason, passes, holds_all=error.status == 429, retry_after=error.retry_after)

    def _wait(self, attempt: int, digest: bytes, fault: '_Fault') -> float:
        """Seconds until the next attempt, which many requests that failed together do not make together."""
        server = self.server
        doubled = min(server.first_wait_seconds * 2.0 ** (attempt - 1), server.longest_wait_seconds)
        spread = digest[attempt % len(digest)] / 255
        return max(doubled * (0.5 + 0.5 * spread), fault.retry_after or 0.0)


@dataclasses.dataclass(frozen=True)
class _Fault:
    """Why an attempt brought no response.

    Attributes:
      reason: in words, without the key.
      passes: whether another attempt may bring one.
      holds_all: whether other requests should wait too.
      retry_after: seconds that the server asks to wait.
    """

    reason: str
    passes: bool = True
    holds_all: bool = False
    retry_after: float | None = None


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, '').strip()
    if not key:
        raise LanguageModelError(
            f'the environment variable {variable}, which ChatServer.api_key_variable names, holds no key'
        )
    if not (key.isascii() and key.isprintable()):
        raise LanguageModelError(f'the environment variable {variable} holds no key: it has odd characters')
    return key

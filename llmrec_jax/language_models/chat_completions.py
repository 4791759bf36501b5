"""The OpenAI chat protocol as pure functions: what is sent for a request, and what is read of the reply."""

import json
from collections.abc import Mapping
from typing import Any

from llmrec_jax.language_models.language_model import TextFailure, TextRequest, TextResponse

# The reply to a refused text has no text, and asking again brings the same.
WITHHELD = 'content_filter'
# Around what a reasoning model thinks, where its server does not keep it apart.
THINKING, THOUGHT = '<think>', '</think>'


class NonsenseError(ValueError):
    """A reply that is no response of the protocol; the message says what it lacks and does not repeat it."""


def body(model: str, request: TextRequest, length_field: str, extra_fields: Mapping[str, Any]) -> bytes:
    """What is sent to `/chat/completions`.

    Args:
      model: as the server calls it.
      request: what is asked.
      length_field: what the server calls the bound on the tokens it writes.
      extra_fields: sent beside the others.
    """
    sampling = request.sampling
    system = [{'role': 'system', 'content': request.system}] if request.system else []
    fields: dict[str, Any] = {
        'model': model,
        'messages': [*system, {'role': 'user', 'content': request.prompt}],
        length_field: sampling.max_tokens,
    }
    if sampling.temperature is not None:
        fields['temperature'] = sampling.temperature
    if sampling.top_p < 1:
        fields['top_p'] = sampling.top_p
    if sampling.stop:
        fields['stop'] = list(sampling.stop)
    if sampling.seed is not None:
        # Another draw of the same text needs another seed, or the server would write it again.
        fields['seed'] = sampling.seed + request.draw
    return json.dumps({**fields, **extra_fields}).encode()


def read_reply(content: bytes, model: str) -> TextResponse | TextFailure:
    """The response in a reply of status 200, or that its text was withheld; thinking is no part of it.

    Args:
      content: the reply's body.
      model: as it was asked for, where the reply does not name one.

    Raises:
      NonsenseError: when it is none.
    """
    try:
        reply = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NonsenseError(f'a reply of {len(content)} bytes that is no JSON') from error
    choices = reply.get('choices') if isinstance(reply, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get('message') if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise NonsenseError('a reply without choices[0].message')
    finish = choice.get('finish_reason')
    text = message.get('content')
    if finish == WITHHELD:
        return TextFailure(f'the server withheld the text ({WITHHELD})')
    if not isinstance(text, str):
        raise NonsenseError('a reply whose choices[0].message.content is no text')
    served = reply.get('model')
    return TextResponse(
        # Half a surrogate pair is possible in JSON, and not in a file.
        text=_without_thinking(text.encode('utf-8', 'replace').decode()),
        finish=finish if isinstance(finish, str) else 'unknown',
        input_tokens=_count(reply, 'prompt_tokens'),
        output_tokens=_count(reply, 'completion_tokens'),
        model=served if isinstance(served, str) else model,
    )


def error_message(content: bytes) -> tuple[str, str]:
    """Code and message of a reply that tells of an error; '' for what it does not say."""
    try:
        reply = json.loads(content)
    except (ValueError, RecursionError):
        return '', ''
    # Most servers tell it under 'error', some in the reply itself.
    error = reply.get('error', reply) if isinstance(reply, dict) else None
    if isinstance(error, str):
        return '', error
    return (_text(error, 'code'), _text(error, 'message')) if isinstance(error, dict) else ('', '')


def _without_thinking(text: str) -> str:
    """What is behind the thinking; nothing where `max_tokens` ended it before."""
    return text.partition(THOUGHT)[2].lstrip() if text.lstrip().startswith(THINKING) else text


def _text(error: Mapping[str, Any], name: str) -> str:
    found = error.get(name)
    return found if isinstance(found, str) else ''


def _count(reply: Mapping[str, Any], name: str) -> int | None:
    usage = reply.get('usage')
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None

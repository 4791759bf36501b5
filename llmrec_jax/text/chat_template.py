"""Messages of a conversation as one prompt, as a model's own template says.

A template is a program that came with the weights: it runs in Jinja's sandbox and sees the messages and the
names of special tokens. It is told no date, though transformers tells one: a prompt of today must be the
prompt of tomorrow, so that stored responses are found and results repeated.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

INSTALL = "pip install 'llmrec_jax[chat]'"


@dataclasses.dataclass(frozen=True)
class ChatTemplate:
    """A model's template.

    Attributes:
      path: where it came from, for messages.
      source: the template.
      special: names of special tokens as templates know them, such as `bos_token`, to the tokens.
    """

    path: str
    source: str
    special: Mapping[str, str]

    def render(self, messages: Sequence[Mapping[str, str]], *, reply: bool = True) -> str:
        """The text of a conversation, special tokens written out.

        Args:
          messages: each with 'role' (system, user or assistant) and 'content'.
          reply: whether the text ends where the assistant begins to answer.

        Raises:
          RuntimeError: jinja2 is not installed.
          ValueError: the template is damaged, or refuses the messages, e.g. one of a system.
        """
        import jinja2

        template = self._template
        try:
            return template.render(messages=list(messages), add_generation_prompt=reply, **self.special)
        except jinja2.TemplateError as error:
            raise ValueError(f'the chat template of {self.path} refuses the messages: {error}') from error

    @functools.cached_property
    def _template(self) -> Any:
        try:
            import jinja2
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ModuleNotFoundError as error:
            raise RuntimeError(
                f'the chat template of {self.path} is rendered by the package jinja2, which is absent: '
                f'{INSTALL}'
            ) from error

        def refuse(reason: str) -> None:
            raise jinja2.TemplateError(reason)

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=['jinja2.ext.loopcontrols']
        )
        # Jinja's own filter writes HTML.
        environment.filters['tojson'] = functools.partial(json.dumps, ensure_ascii=False)
        environment.globals['raise_exception'] = refuse
        try:
            return environment.from_string(self.source)
        except jinja2.TemplateError as error:
            raise ValueError(f'the chat template of {self.path} cannot be read: {error}') from error

"""The files of a decoder's tokenizer, as Hugging Face names them."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from llmrec_jax.files import folder_written_whole
from llmrec_jax.stored_files import read_file

TOKENIZER, CONFIG, TEMPLATE = 'tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'
# Where older folders name special tokens.
SPECIAL = 'special_tokens_map.json'


@dataclasses.dataclass(frozen=True)
class TokenizerFiles:
    """A tokenizer and what is said of it.

    Attributes:
      tokenizer: the content of `tokenizer.json`.
      config: what `tokenizer_config.json` says.
    """

    tokenizer: bytes
    config: Mapping[str, Any]

    def token(self, role: str) -> str | None:
        """The special token of a role, such as 'eos'; None where there is none."""
        token = self.config.get(f'{role}_token')
        return token['content'] if isinstance(token, Mapping) else token

    @property
    def chat_template(self) -> str | None:
        """How messages become a prompt, in Jinja's language; None where nothing says it."""
        template = self.config.get('chat_template')
        if isinstance(template, str) or template is None:
            return template
        # Some files have a template for tools beside the usual one.
        return next((one['template'] for one in template if one['name'] == 'default'), None)

    def write(self, folder: str | os.PathLike) -> None:
        """Puts the files into a folder of their own, whole or not at all, in place of one that was there."""
        with folder_written_whole(folder) as written:
            (written / TOKENIZER).write_bytes(self.tokenizer)
            (written / CONFIG).write_text(json.dumps(self.config, indent=2), encoding='utf-8')


def read_tokenizer_files(folder: str | os.PathLike) -> TokenizerFiles:
    """The tokenizer in a folder, local or `gs://`.

    Raises:
      FileNotFoundError: there is no `tokenizer.json` or no `tokenizer_config.json`.
      OSError: one cannot be read.
      ValueError: the configuration is no JSON object.
    """
    folder = os.fspath(folder).rstrip('/')
    tokenizer = read_file(f'{folder}/{TOKENIZER}')
    config = {**_json(f'{folder}/{SPECIAL}', absent={}), **_json(f'{folder}/{CONFIG}')}
    with contextlib.suppress(FileNotFoundError):
        config['chat_template'] = read_file(f'{folder}/{TEMPLATE}').decode()
    return TokenizerFiles(tokenizer, config)


def _json(path: str, absent: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        record = json.loads(read_file(path))
    except FileNotFoundError:
        if absent is None:
            raise
        return absent
    except ValueError as error:
        raise ValueError(f'{path} is no JSON ({error}): copy it again') from error
    if not isinstance(record, dict):
        raise ValueError(f'{path} must hold a JSON object, not {type(record).__name__}')
    return record

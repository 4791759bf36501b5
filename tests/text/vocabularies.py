"""Texts such as prompts are, and SentencePiece models that are not as T5 needs them."""

import io
import random

import sentencepiece

SYLLABLES = ('la', 'mo', 'ri', 'ten', 'sha', 'ku', 'ver', 'no', 'pi', 'dra', 'sol', 'em', 'ub', 'ost')


def prompt_texts(count: int = 2000, seed: int = 0) -> list[str]:
    """Texts with ids, ratings and made-up words."""
    rng = random.Random(seed)
    words = [''.join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(1000)]
    return [
        f'user_{rng.randint(1, 300)} has bought item_{rng.randint(1, 500)} , item_{rng.randint(1, 500)} . '
        f'{" ".join(rng.choices(words, k=8)).capitalize()} ? {rng.randint(10, 50) / 10}'
        for _ in range(count)
    ]


def sentencepiece_model(texts: list[str], vocab_size: int, **options) -> bytes:
    """A model trained with other options than ours."""
    written = io.BytesIO()
    options = {'pad_id': 0, 'eos_id': 1, 'unk_id': 2, 'bos_id': -1, 'minloglevel': 2, **options}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=written, vocab_size=vocab_size, **options
    )
    return written.getvalue()

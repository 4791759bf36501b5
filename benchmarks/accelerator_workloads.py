"""What `accelerator_training.py` trains: shapes of networks, and real lengths of examples."""

import dataclasses
import json
import pathlib

import numpy as np

from llmrec_jax.models.t5 import T5Config

LEVELS, HISTORY_ITEMS = 4, 20
# Tokens of the instruction around the titles, and between two of them.
PROMPT_TOKENS, SEPARATOR_TOKENS = 16, 1


@dataclasses.dataclass(frozen=True)
class Workload:
    """What both sides train.

    Attributes:
      name: of the comparison.
      config: our network; theirs is made of the same numbers.
      feature_lengths: padded lengths.
      batch_size: examples a step.
      microbatches: of our engine in 'true_lengths'.
      buckets: lengths of those microbatches.
      pad_to: what their collator rounds lengths up to.
      lengths: input and target tokens of each example.
    """

    name: str
    config: T5Config
    feature_lengths: dict[str, int]
    batch_size: int
    microbatches: int
    buckets: tuple[int, ...]
    pad_to: int
    lengths: np.ndarray


def tiger(width: int, histories: list[list[str]], attention: str, batch_size: int) -> Workload:
    """TIGER: a user token and four of each item, for every prefix of a training history."""
    items = np.concatenate([np.arange(1, len(history) - 2) for history in histories])
    inputs = 1 + LEVELS * np.minimum(items, HISTORY_ITEMS)
    return Workload(
        name=f'tiger_{width}',
        config=T5Config(
            vocab_size=3072,
            emb_dim=width,
            num_heads=6,
            head_dim=64,
            mlp_dim=1024,
            num_encoder_layers=4,
            num_decoder_layers=4,
            dtype='bfloat16',
            attention=attention,
        ),
        feature_lengths={'inputs': 1 + LEVELS * HISTORY_ITEMS, 'targets': LEVELS},
        batch_size=batch_size,
        microbatches=4,
        buckets=(17, 33, 49),
        pad_to=16,
        lengths=np.stack([inputs, np.full_like(inputs, LEVELS)], axis=1),
    )


def flan_t5_base(
    histories: list[list[str]], title_tokens: dict[str, int], attention: str, batch_size: int
) -> Workload:
    """Flan-T5 base: the titles of a history in, the title of the next item out."""
    lengths = []
    for history in histories:
        known = [title_tokens[item] for item in history[:-2]][-HISTORY_ITEMS:]
        inputs = PROMPT_TOKENS + sum(known) + SEPARATOR_TOKENS * len(known)
        lengths.append((min(inputs, 512), min(title_tokens[history[-2]] + 1, 64)))
    return Workload(
        name='flan_t5_base',
        config=T5Config(
            vocab_size=32128,
            emb_dim=768,
            num_heads=12,
            head_dim=64,
            mlp_dim=2048,
            num_encoder_layers=12,
            num_decoder_layers=12,
            mlp_activations=('gelu', 'linear'),
            dropout_rate=0.05,
            dtype='bfloat16',
            scan_layers=True,
            attention=attention,
        ),
        feature_lengths={'inputs': 512, 'targets': 64},
        batch_size=batch_size,
        microbatches=4,
        buckets=(128, 192, 256, 384),
        pad_to=64,
        lengths=np.array(lengths),
    )


def smoke() -> Workload:
    """Every line of this file in seconds."""
    inputs = np.random.default_rng(0).integers(2, 17, 64)
    return Workload(
        name='smoke',
        config=T5Config(64, 16, 2, 8, 32, 1, 1, ('gelu', 'linear'), dtype='bfloat16'),
        feature_lengths={'inputs': 16, 'targets': 4},
        batch_size=8,
        microbatches=2,
        buckets=(8,),
        pad_to=8,
        lengths=np.stack([inputs, np.full_like(inputs, 4)], axis=1),
    )


def read_histories(data: pathlib.Path) -> list[list[str]]:
    """The items of each user of Beauty, oldest first."""
    lines = (data / 'amazon-beauty' / 'sequential.txt').read_text(encoding='utf-8').splitlines()
    return [line.split()[1:] for line in lines]


def read_title_tokens(data: pathlib.Path) -> dict[str, int]:
    """How many pieces of T5's vocabulary each item's title has."""
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(data / 't5-vocab' / 'spiece.model'))
    items = map(json.loads, (data / 'amazon-beauty' / 'items.jsonl').read_text(encoding='utf-8').splitlines())
    return {str(item['id']): len(pieces.encode(item['title'])) for item in items}

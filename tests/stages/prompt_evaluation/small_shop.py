"""A workdir as the stages of a text-to-text recipe leave it, so small that a whole mixture takes seconds."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT
from llmrec_jax.corpora.splits import RankingCases, Sequences, Splits, save_splits
from llmrec_jax.decoding.beam import Beam
from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.decoding.sampling import Greedy
from llmrec_jax.evaluation.answer_kinds.all_kinds import answer_kind
from llmrec_jax.evaluation.baselines.fitted import (
    FittedBaselines,
    FrequentText,
    RatingBaselines,
    TextBaselines,
)
from llmrec_jax.evaluation.baselines.rating_means import Ratings, rating_baselines
from llmrec_jax.files import write_json
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.runs.run import Run
from llmrec_jax.stages.catalogue_file import ShownItems
from llmrec_jax.stages.corpus import CATALOGUE, USER_IDS
from llmrec_jax.stages.networks import abstract_parameters
from llmrec_jax.stages.prompt_evaluation.decoding_config import DecodingConfig
from llmrec_jax.stages.prompt_evaluation.fit_baselines import FITTED
from llmrec_jax.stages.text_system import TextSystem
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.early_stopping import BestMetric
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.trainer import Trainer

ITEMS = [f'item_{number}' for number in (7, 31, 4, 118, 52, 9, 66, 203, 17, 80, 5, 41)]
QUESTIONS, CANDIDATES = 11, 4
TARGETS = np.random.default_rng(7).integers(len(ITEMS), size=QUESTIONS)
LENGTHS = {'inputs': 40, 'targets': 16}
VOCABULARY = TrainedVocabulary(size=400, extra_ids=0, symbols=('▁yes', '▁no', '▁item_', '▁user_'))
SENTENCES = ['a fine thing', 'broke at once']
# Name of the task: family, template, held out, kind of answer.
TASKS = {
    'small_rating_1_6': ('rating', '1-6', False, 'stars'),
    'small_rating_1_10': ('rating', '1-10', True, 'stars'),
    'small_rating_1_9': ('rating', '1-9', False, 'like'),
    'small_sequential_2_3': ('sequential', '2-3', False, 'item'),
    'small_sequential_2_13': ('sequential', '2-13', True, 'item'),
    'small_sequential_2_11': ('sequential', '2-11', False, 'yes_no'),
    'small_explanation_3_3': ('explanation', '3-3', False, 'sentence'),
    'small_direct_5_1': ('direct', '5-1', False, 'yes_no_ranking'),
    'small_direct_5_8': ('direct', '5-8', True, 'item_of_candidates'),
}
MIXTURES = {
    'small_train': ['small_train'],
    'small_eval': list(TASKS),
    'small_few': ['small_rating_1_6', 'small_direct_5_8'],
    'small_zero_shot': [name for name, facts in TASKS.items() if facts[2]],
}


@dataclasses.dataclass(frozen=True)
class SmallTasks:
    """Stands where a recipe has its tasks; those in the workdir are `TASKS`."""

    workdir: str
    name: str = 'small'
    corpus: Any = None
    data_dir: str = ''
    vocabulary: TrainedVocabulary = VOCABULARY
    feature_lengths: Mapping[str, int] = dataclasses.field(default_factory=lambda: dict(LENGTHS))
    epochs: int = 1
    split: Any = LEAVE_LAST_OUT

    def build(self) -> Any:
        raise AssertionError('evaluating reads what is materialised')


@functools.cache
def _model(emb_dim: int) -> EncoderDecoderModel:
    # One object, so that what is compiled for one run serves all.
    config = T5Config(
        vocab_size=VOCABULARY.size, emb_dim=emb_dim, num_heads=2, head_dim=8, mlp_dim=32,
        num_encoder_layers=1, num_decoder_layers=1,
    )  # fmt: skip
    return EncoderDecoderModel(Transformer(config))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmallSystem(TextSystem):
    """Evaluates what lies in the workdir."""

    def stages(self):
        return [self.evaluate()]

    def report(self, run, records):
        raise NotImplementedError


def recipe(
    workdir: pathlib.Path, mixture: str = 'small_eval', emb_dim: int = 16, step: int = 1, **decoding: Any
) -> SmallSystem:
    settings = {
        'text': Greedy(max_length=8),
        'items': NameSearch(beam_size=4),
        'unconstrained': Beam(max_length=8, beam_size=4),
        'ks': (1, 4),
        'batch_size': 8,
    }
    return SmallSystem(
        workdir=str(workdir),
        name='small',
        tasks=SmallTasks(str(workdir)),
        network=_model(emb_dim),
        trainer=Trainer(
            steps=1, batch_size=8, feature_lengths=LENGTHS, optimizer=AdamW(Constant(0.1)),
            best_metric=BestMetric('loss', 'min'),
        ),
        decoding=DecodingConfig(**{**settings, **decoding}),
        mixture_or_task_name=mixture,
        checkpoint=str(workdir / 'checkpoints' / f'checkpoint_{step}'),
    )  # fmt: skip


def make(workdir: pathlib.Path) -> None:
    """Vocabulary, item names, tasks and two checkpoints of different parameters."""
    rng = np.random.default_rng(0)
    words = ['stars', 'like', 'dislike', 'yes', 'no', 'recommend', 'next', *SENTENCES]
    texts = [f'user_{n} {word} {item}' for n in range(6) for word in words for item in ITEMS]
    vocabulary = VOCABULARY.make_at(workdir / 'vocabulary', texts)
    write_json(workdir / 'item_names.json', ITEMS)
    Run(workdir).put(USER_IDS, [f'u{row}' for row in range(QUESTIONS)])
    categories = [('Shop', 'even' if row % 2 else 'odd') for row in range(len(ITEMS))]
    Run(workdir).put(CATALOGUE, ShownItems(list(ITEMS), list(ITEMS), categories))
    fitted = {}
    write_json(workdir / 'tasks' / 'mixtures.json', MIXTURES)
    for name, (family, template, held_out, answer) in TASKS.items():
        rows = _rows(answer, rng)
        ends = {'inputs': rows.pop('texts'), 'targets': rows['references']}
        references = rows.pop('references')
        tokens = {
            feature: [[*vocabulary.encode(text), vocabulary.eos_id] for text in texts]
            for feature, texts in ends.items()
        }
        folder = workdir / 'tasks' / name
        write_columns(folder / 'test', tokens | rows, {})
        (folder / 'test' / 'references.jsonl').write_text(
            ''.join(json.dumps(text) + '\n' for text in references)
        )
        facts = {'task': name, 'family': family, 'group': f'{family}_{answer}', 'template': template}
        offered = CANDIDATES if answer in ('item_of_candidates', 'yes_no_ranking') else None
        facts |= {
            'held_out': held_out,
            'answer': answer,
            'n_candidates': offered,
            'scale': [1.0, 5.0] if answer == 'stars' else None,
        }
        write_json(folder / 'task.json', facts)
        if answer_kind(answer).in_words:
            fitted[name] = _fitted(answer, rng).as_json()
    Run(workdir).put(FITTED, fitted)
    histories = rng.integers(len(ITEMS), size=(QUESTIONS, 4))
    offsets = np.arange(QUESTIONS + 1) * 4
    cases = RankingCases(np.arange(QUESTIONS), Sequences(histories.reshape(-1), offsets), TARGETS)
    save_splits(Splits(cases.histories, cases, cases), workdir / 'splits.npz')
    for step in (1, 2):
        write_checkpoint(workdir / 'checkpoints' / f'checkpoint_{step}', recipe(workdir), seed=step)


def questions(task: str) -> int:
    """Rows of a task."""
    return QUESTIONS * (CANDIDATES if TASKS[task][3] == 'yes_no_ranking' else 1)


def write_checkpoint(folder: pathlib.Path, recipe: SmallSystem, seed: int, scale: float = 1.0) -> None:
    shapes = abstract_parameters(recipe.network, recipe.trainer)
    rng = np.random.default_rng(seed)
    params = jax.tree.map(lambda leaf: (scale * rng.normal(size=leaf.shape)).astype(np.float32), shapes)
    ocp.PyTreeCheckpointer().save(folder / 'state', {'target': params, 'state': {'step': np.int32(seed)}})


def _fitted(answer: str, rng: np.random.Generator) -> FittedBaselines:
    if answer != 'stars':
        return TextBaselines(FrequentText.fit(['yes' if answer == 'yes_no' else 'like'], [0]))
    user, item = np.divmod(np.arange(QUESTIONS * len(ITEMS)), len(ITEMS))
    stars = rng.integers(1, 6, len(user)).astype(np.float64)
    return RatingBaselines(rating_baselines(Ratings(user, item, stars, QUESTIONS, len(ITEMS))))


def _rows(answer: str, rng: np.random.Generator) -> dict[str, Any]:
    cases = QUESTIONS if answer != 'yes_no_ranking' else QUESTIONS * CANDIDATES
    target = TARGETS
    offered = [
        rng.permutation([one, *rng.choice([i for i in range(len(ITEMS)) if i != one], CANDIDATES - 1, False)])
        for one in target
    ]
    users = np.arange(QUESTIONS)
    if answer == 'yes_no_ranking':
        items = np.concatenate(offered)
        right = items == np.repeat(target, CANDIDATES)
        asked = zip(np.repeat(users, CANDIDATES), items)
        return {
            'texts': [f'user_{user % 6} recommend {ITEMS[item]}' for user, item in asked],
            'references': ['yes' if one else 'no' for one in right],
            'record': np.arange(cases)[:, None],
            'user': np.repeat(users, CANDIDATES)[:, None],
            'target': items[:, None],
            'answer': right.astype(int)[:, None],
        }
    said = {
        'stars': [f'{stars}.0' for stars in rng.integers(1, 6, cases)],
        'like': rng.choice(['like', 'dislike'], cases).tolist(),
        'yes_no': rng.choice(['yes', 'no'], cases).tolist(),
        'sentence': rng.choice(SENTENCES, cases).tolist(),
    }.get(answer, [ITEMS[one] for one in target])
    rows = {
        'texts': [f'user_{n % 6} next ' + 'stars ' * (n % 4) for n in users],
        'references': said,
        'record': users[:, None],
        'user': users[:, None],
        'target': target[:, None],
    }
    return rows | ({'candidates': offered} if answer == 'item_of_candidates' else {})

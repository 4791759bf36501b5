"""From what a model wrote to PALR's results: answers by hand, over candidates of retrievers good and bad."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from llmrec_jax.corpora.corpus import Items
from llmrec_jax.corpora.split_files import save_splits
from llmrec_jax.corpora.splits import Splits
from llmrec_jax.decoding.greedy import Greedy
from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.evaluation.report.page import render
from llmrec_jax.files import write_json, write_text
from llmrec_jax.launch.mixtures.answering import Answering
from llmrec_jax.launch.palr import results
from llmrec_jax.launch.palr.answered_lists import AnsweredLists, answered_lists
from llmrec_jax.launch.palr.recipe import PalrRecipe
from llmrec_jax.launch.palr.stages import candidates_stage, palr_floors_stage
from llmrec_jax.launch.palr.workspace import PALR_LISTS, PalrWorkspace
from llmrec_jax.launch.stages import StageRecord
from llmrec_jax.prompts.palr.data import Palr
from llmrec_jax.prompts.palr.windows import WindowSettings
from llmrec_jax.retrieval.search_result import SearchResult
from llmrec_jax.stages.catalogue_file import save_catalogue
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from llmrec_jax.training.columns import write_columns
from tasks.palr import PalrTasks
from tests.evaluation.ranking_cases import ranking_cases, sequences
from tests.launch.mixtures import small_shop

N_ITEMS, USERS, CANDIDATES = 40, 30, 8
NAMES = [f'Thing {number}' for number in range(N_ITEMS)]
VOCABULARY = TrainedVocabulary(size=300, extra_ids=0, digits_per_token=None)
KS = (1, 5)
RNG = np.random.default_rng(5)
ROWS = np.stack([RNG.permutation(N_ITEMS)[:6] for _ in range(USERS)])
SPLITS = Splits(
    train=sequences(ROWS[:, :4].tolist()),
    validation=ranking_cases(ROWS[:, :4].tolist(), ROWS[:, 4].tolist()),
    test=ranking_cases(ROWS[:, :5].tolist(), ROWS[:, 5].tolist()),
)


@dataclasses.dataclass(frozen=True)
class PlantedCandidates:
    """A retriever that has the target among its candidates for a share of the users, at a random place."""

    share: float

    def identity(self) -> Any:
        return self.share

    def retriever(self, splits: Splits, n_items: int) -> 'PlantedCandidates':
        return self

    @property
    def n_items(self) -> int:
        return N_ITEMS

    def retrieve(self, requests, k, *, remove_seen=False):
        rows = []
        for user in requests.users.tolist():
            target, rng = int(ROWS[user, 5]), np.random.default_rng(user)
            others = rng.permutation([item for item in range(N_ITEMS) if item not in ROWS[user]])
            has_target = user < self.share * USERS
            rows.append(rng.permutation([*others[: k - has_target], *[target] * has_target]))
        scores = np.tile(-np.arange(k, dtype=np.float32), (len(rows), 1))
        return SearchResult(np.asarray(rows), scores)


@dataclasses.dataclass(frozen=True)
class Source:
    name: str = 'test/corpus'


def workspace_of(folder, share: float) -> PalrWorkspace:
    """A workdir in which the corpus, the vocabulary, the candidates and the floors are done."""
    tasks = PalrTasks(
        corpus=Source(),
        data_dir='',
        workdir=str(folder),
        vocabulary=VOCABULARY,
        palr=Palr(windows=WindowSettings(targets=3), candidates=CANDIDATES),
        feature_lengths=small_shop.LENGTHS,
    )
    like = small_shop.recipe(folder)
    recipe = PalrRecipe(
        workdir=str(folder),
        name='palr_v2',
        tasks=tasks,
        model=like.model,
        trainer=like.trainer,
        answering=Answering(text=Greedy(max_length=8), items=NameSearch(beam_size=5), ks=KS, batch_size=8),
        retriever=PlantedCandidates(share),
        candidates=CANDIDATES,
        ks=KS,
        position_bins=2,
    )
    workspace = PalrWorkspace(recipe)
    save_splits(SPLITS, workspace.splits_path)
    items = Items(NAMES, NAMES, [''] * N_ITEMS, [('all',)] * N_ITEMS, [''] * N_ITEMS, np.zeros(N_ITEMS))
    save_catalogue(items, workspace.catalogue_path)
    VOCABULARY.make_at(workspace.vocabulary_dir, [f'"{name}", "{name}"' for name in NAMES])
    write_json(workspace.item_names_path, NAMES)
    write_json(folder / 'stages' / 'corpus.json', dataclasses.asdict(record('corpus', {'items': N_ITEMS})))
    return workspace


def record(name: str, summary: dict) -> StageRecord:
    return StageRecord(name, 'x', 1.0, 1.0, summary)


def answer(workspace: PalrWorkspace, write) -> tuple[AnsweredLists, list[StageRecord]]:
    """Leaves an answer of `write(shown, target)` to every question, and the records of all stages."""
    made = {'candidates': candidates_stage, 'floors': palr_floors_stage}
    summaries = {name: stage(workspace).action('') for name, stage in made.items()}
    tasks, seconds = workspace.recipe.tasks, {}
    others = [np.setdiff1d(np.arange(N_ITEMS), row)[: CANDIDATES - 1] for row in ROWS]
    candidates = {
        'recommend': workspace.candidates.items,
        'recommend_retrieval': workspace.candidates.items,
        'recommend_drawn': np.column_stack([ROWS[:, 5], others]),
    }
    for group, of_group in candidates.items():
        name = tasks.evaluated(group)
        shown = [np.random.default_rng(row).permutation(one) for row, one in enumerate(of_group)]
        columns = {'inputs': [[3]] * USERS, 'targets': [[3]] * USERS, 'candidates': shown}
        write_columns(workspace.examples_dir(name, 'test'), columns, {})
        texts = [write(row.tolist(), target) for row, target in zip(shown, ROWS[:, 5].tolist())]
        lines = [json.dumps({'row': row, 'text': text}) + '\n' for row, text in enumerate(texts)]
        write_text(workspace.root / 'evaluation' / 'tasks' / name / 'predictions.jsonl', ''.join(lines))
        seconds[name] = 2.0
    answered = answered_lists(workspace)
    lists = results.PerUserResults(workspace.cases.user, workspace.cases.target, answered.systems)
    lists.save(workspace.root / PALR_LISTS)
    summaries['evaluate'] = {'seconds': seconds, **answered.summary}
    return answered, [record('corpus', {'items': N_ITEMS}), *(record(*one) for one in summaries.items())]


def perfect(shown: list[int], target: int) -> str:
    first = [target] if target in shown else []
    return ', '.join(f'"{NAMES[item]}"' for item in [*first, *(item for item in shown if item != target)][:3])


def test_who_always_chooses_right_reaches_the_cap_and_nobody_exceeds_it(tmp_path):
    reached = {}
    for share in (0.0, 0.5, 1.0):
        workspace = workspace_of(tmp_path / str(share), share)
        answered, records = answer(workspace, perfect)
        found = results.assemble(workspace, records).systems['test']
        cap = found['candidate_cap']['recall@5']
        assert cap == pytest.approx(share)
        assert found['palr_v2']['recall@1'] == found['palr_v2']['recall@5'] == pytest.approx(cap)
        for name in ('palr_v2', 'palr_v2_written', 'retriever', 'random_candidates'):
            assert found[name]['recall@5'] <= cap + 1e-9
        accuracy = answered.summary['choice']
        assert accuracy['cases'] == round(share * USERS)
        if share:
            assert (accuracy['first'], accuracy['first_chance']) == (1.0, 1 / CANDIDATES)
            assert (accuracy['listed'], accuracy['listed_chance']) == (1.0, 3 / CANDIDATES)
            retriever = answered.summary['choice_of_the_retriever']
            assert retriever['listed_chance'] == accuracy['listed_chance']
            # Its target stands at a place drawn among eight.
            assert retriever['first'] <= retriever['listed'] < 1
        # Of drawn candidates one is right for everyone, whatever a retriever finds.
        drawn = answered.summary['choice_of_drawn']
        assert (drawn['cases'], drawn['first'], drawn['first_chance']) == (USERS, 1.0, 1 / CANDIDATES)
        unseeing = answered.summary['choice_of_drawn_without_candidates']
        assert unseeing['first'] == pytest.approx(share)
        assert answered.summary['with_candidates']['invalid_title_rate'] == 0
        assert answered.summary['with_candidates']['back_fill_rate'] == pytest.approx(0.4)
        reached[share] = found['palr_v2']['recall@5']
    assert reached[0.0] < reached[0.5] < reached[1.0]


def test_nonsense_is_counted_and_filled_up_in_the_retrievers_order(tmp_path):
    workspace = workspace_of(tmp_path, 1.0)
    answered, records = answer(workspace, lambda shown, target: f'"Nothing", "Thing {N_ITEMS + 3}", "Thing')
    rates = answered.summary['with_candidates']
    assert (rates['titles_written'], rates['invalid_title_rate'], rates['empty_answer_rate']) == (2, 1, 1)
    assert rates['back_fill_rate'] == 1
    np.testing.assert_array_equal(answered.systems['palr_v2'].items, workspace.candidates.items[:, :5])
    assert (answered.systems['palr_v2_written'].items == -1).all()
    assert answered.summary['choice']['first'] == answered.summary['choice']['listed_chance'] == 0
    found = results.assemble(workspace, records)
    assert found.systems['test']['palr_v2']['recall@5'] == found.systems['test']['retriever']['recall@5']


def test_what_was_not_shown_is_invalid_with_candidates_and_stands_without(tmp_path):
    workspace = workspace_of(tmp_path, 0.0)
    answered, _ = answer(workspace, lambda shown, target: f'"{NAMES[target]}"')
    assert answered.summary['with_candidates']['invalid_title_rate'] == 1
    assert answered.summary['without_candidates']['invalid_title_rate'] == 0
    assert answered.summary['choice_without_candidates'] == {'cases': 0}
    assert (answered.systems['palr_v2'].target_rank == 0).all()
    assert (answered.systems['palr_v2_without_candidates'].target_rank == 1).all()


def test_the_report_shows_the_cap_the_rates_and_the_places(tmp_path):
    workspace = workspace_of(tmp_path, 1.0)
    _, records = answer(workspace, lambda shown, target: f'"{NAMES[shown[0]]}"')
    found = results.assemble(workspace, records)
    positions = found.decoding['by_position']
    assert [one['named_first'] for one in positions] == [1.0, 0.0]
    assert positions[1]['accuracy'] == 0
    choice = found.decoding['choice']
    # The same was written without candidates, so that nothing comes of reading them.
    assert found.decoding['choice_without_candidates'] == choice
    assert choice['first'] == choice['listed'] and choice['intervals'].keys() == {'first', 'listed'}
    page = render(results.report_data(workspace, found, 'config'))
    for said in (
        'Cap: the target is among the candidates',
        'of the cap',
        'back fill rate',
        'named first',
        'first chance',
        'listed chance',
    ):
        assert said in page
    assert found.cold_start['palr_v2']['items']

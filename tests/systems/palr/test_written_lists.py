"""From what a model wrote to PALR's results: answers by hand, over candidates of retrievers good and bad."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.splits import Splits
from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.decoding.sampling import Greedy
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.report.page import render
from llmrec_jax.files import write_json, write_text
from llmrec_jax.prompts.palr.data import Palr
from llmrec_jax.prompts.palr.windows import WindowSettings
from llmrec_jax.retrieval.retriever import SearchResult
from llmrec_jax.runs.record import StageRecord, record_path
from llmrec_jax.runs.run import CONFIG, Run
from llmrec_jax.stages.catalogue_file import ShownItems
from llmrec_jax.stages.corpus import CATALOGUE
from llmrec_jax.stages.corpus import SPLITS as CORPUS_SPLITS
from llmrec_jax.stages.prompt_evaluation.decoding_config import DecodingConfig
from llmrec_jax.stages.prompt_tasks import ITEM_NAMES, vocabulary
from llmrec_jax.stages.rank import Ranking, lists
from llmrec_jax.systems.palr.candidates import CANDIDATES as CANDIDATE_LISTS
from llmrec_jax.systems.palr.system import PalrReport, PalrSystem
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from llmrec_jax.training.columns import write_columns
from tasks.palr import RETRIEVER, PalrTasks
from tests.evaluation.ranking_cases import ranking_cases, sequences
from tests.stages.prompt_evaluation import small_shop

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


def system_of(folder, share: float) -> tuple[PalrSystem, Run]:
    """A workdir in which the corpus and the vocabulary are done."""
    tasks = PalrTasks(
        corpus=SimulatedShop(size='tiny'),
        data_dir='',
        workdir=str(folder),
        vocabulary=VOCABULARY,
        profiles=False,
        palr=Palr(windows=WindowSettings(targets=3), candidates=CANDIDATES),
        feature_lengths=small_shop.LENGTHS,
    )
    like = small_shop.recipe(folder)
    system = PalrSystem(
        workdir=str(folder),
        name='palr_v2',
        tasks=tasks,
        network=like.network,
        trainer=like.trainer,
        decoding=DecodingConfig(
            text=Greedy(max_length=8), items=NameSearch(beam_size=5), ks=KS, batch_size=8
        ),
        ranking=Ranking(seen_items='removed', ks=KS, list_length=max(KS)),
        retriever=PlantedCandidates(share),
        candidates=CANDIDATES,
        position_bins=2,
    )
    run = system.run
    run.put(CORPUS_SPLITS, SPLITS)
    run.put(CATALOGUE, ShownItems(NAMES, NAMES, [('all',)] * N_ITEMS))
    VOCABULARY.make_at(run.path(vocabulary(VOCABULARY)), [f'"{name}", "{name}"' for name in NAMES])
    run.put(ITEM_NAMES, NAMES)
    write_text(run.root / CONFIG, 'config')
    return system, run


def record(run: Run, name: str, facts: dict) -> StageRecord:
    """Leaves what a stage told of its work."""
    made = StageRecord(name, 'x', {}, 1.0, 1.0, facts)
    write_json(record_path(run.root, name), dataclasses.asdict(made))
    return made


def answer(system: PalrSystem, run: Run, write) -> tuple[PerUserResults, dict, dict[str, StageRecord]]:
    """Leaves an answer of `write(shown, target)` to every question.

    Returns the lists that they make, what is told of them, and the records of all stages.
    """
    stages = {stage.name: stage for stage in system.stages()}
    done = {'corpus': record(run, 'corpus', {'items': N_ITEMS})}
    for name in ('candidates', 'floors'):
        done[name] = record(run, name, stages[name].run(run))
    retrieved = run[CANDIDATE_LISTS].systems[RETRIEVER].items
    seconds = {}
    others = [np.setdiff1d(np.arange(N_ITEMS), row)[: CANDIDATES - 1] for row in ROWS]
    candidates = {
        'recommend': retrieved,
        'recommend_retrieval': retrieved,
        'recommend_drawn': np.column_stack([ROWS[:, 5], others]),
    }
    for group, of_group in candidates.items():
        name = system.tasks.evaluated(group)
        shown = [np.random.default_rng(row).permutation(one) for row, one in enumerate(of_group)]
        columns = {'inputs': [[3]] * USERS, 'targets': [[3]] * USERS, 'candidates': shown}
        write_columns(run.root / 'tasks' / name / 'test', columns, {})
        texts = [write(row.tolist(), target) for row, target in zip(shown, ROWS[:, 5].tolist())]
        lines = [json.dumps({'id': row, 'answer': text}) + '\n' for row, text in enumerate(texts)]
        write_text(run.root / 'evaluation' / 'tasks' / name / 'predictions.jsonl', ''.join(lines))
        seconds[name] = 2.0
    done['evaluate'] = record(run, 'evaluate', {'seconds': seconds, 'checkpoint': 'checkpoints/checkpoint_1'})
    told = stages['lists'].run(run)
    done['lists'] = record(run, 'lists', told)
    return run[lists('lists', 'test', 'removed')], told, done


def report_of(system: PalrSystem) -> PalrReport:
    return PalrReport(
        system=system.name,
        corpus=system.corpus.name,
        ranking=system.ranking,
        stages=system.stages(),
        candidates=CANDIDATES,
        draw=system.draw,
    )


def perfect(shown: list[int], target: int) -> str:
    first = [target] if target in shown else []
    return ', '.join(f'"{NAMES[item]}"' for item in [*first, *(item for item in shown if item != target)][:3])


def test_who_always_chooses_right_reaches_the_cap_and_nobody_exceeds_it(tmp_path):
    reached = {}
    for share in (0.0, 0.5, 1.0):
        system, run = system_of(tmp_path / str(share), share)
        _, told, done = answer(system, run, perfect)
        found = report_of(system).results(run, done).systems['test']
        cap = found['candidate_cap']['recall@5']
        assert cap == pytest.approx(share)
        assert found['palr_v2']['recall@1'] == found['palr_v2']['recall@5'] == pytest.approx(cap)
        for name in ('palr_v2', 'palr_v2_written', 'retriever', 'random_candidates'):
            assert found[name]['recall@5'] <= cap + 1e-9
        accuracy = told['choice']
        assert accuracy['cases'] == round(share * USERS)
        if share:
            assert (accuracy['first'], accuracy['first_chance']) == (1.0, 1 / CANDIDATES)
            assert (accuracy['listed'], accuracy['listed_chance']) == (1.0, 3 / CANDIDATES)
            retriever = told['choice_of_the_retriever']
            assert retriever['listed_chance'] == accuracy['listed_chance']
            # Its target stands at a place drawn among eight.
            assert retriever['first'] <= retriever['listed'] < 1
        # Of drawn candidates one is right for everyone, whatever a retriever finds.
        drawn = told['choice_of_drawn']
        assert (drawn['cases'], drawn['first'], drawn['first_chance']) == (USERS, 1.0, 1 / CANDIDATES)
        unseeing = told['choice_of_drawn_without_candidates']
        assert unseeing['first'] == pytest.approx(share)
        assert told['with_candidates']['invalid_title_rate'] == 0
        assert told['with_candidates']['back_fill_rate'] == pytest.approx(0.4)
        reached[share] = found['palr_v2']['recall@5']
    assert reached[0.0] < reached[0.5] < reached[1.0]


def test_nonsense_is_counted_and_filled_up_in_the_retrievers_order(tmp_path):
    system, run = system_of(tmp_path, 1.0)
    answered, told, done = answer(
        system, run, lambda shown, target: f'"Nothing", "Thing {N_ITEMS + 3}", "Thing'
    )
    rates = told['with_candidates']
    assert (rates['titles_written'], rates['invalid_title_rate'], rates['empty_answer_rate']) == (2, 1, 1)
    assert rates['back_fill_rate'] == 1
    np.testing.assert_array_equal(
        answered.systems['palr_v2'].items, run[CANDIDATE_LISTS].systems[RETRIEVER].items[:, :5]
    )
    assert (answered.systems['palr_v2_written'].items == -1).all()
    assert told['choice']['first'] == told['choice']['listed_chance'] == 0
    found = report_of(system).results(run, done)
    assert found.systems['test']['palr_v2']['recall@5'] == found.systems['test']['retriever']['recall@5']


def test_what_was_not_shown_is_invalid_with_candidates_and_stands_without(tmp_path):
    system, run = system_of(tmp_path, 0.0)
    answered, told, _ = answer(system, run, lambda shown, target: f'"{NAMES[target]}"')
    assert told['with_candidates']['invalid_title_rate'] == 1
    assert told['without_candidates']['invalid_title_rate'] == 0
    assert told['choice_without_candidates'] == {'cases': 0}
    assert (answered.systems['palr_v2'].target_rank == 0).all()
    assert (answered.systems['palr_v2_without_candidates'].target_rank == 1).all()


def test_the_report_shows_the_cap_the_rates_and_the_places(tmp_path):
    system, run = system_of(tmp_path, 1.0)
    _, _, done = answer(system, run, lambda shown, target: f'"{NAMES[shown[0]]}"')
    found = report_of(system).results(run, done)
    positions = found.decoding['by_position']
    assert [one['named_first'] for one in positions] == [1.0, 0.0]
    assert positions[1]['accuracy'] == 0
    choice = found.decoding['choice']
    # The same was written without candidates, so that nothing comes of reading them.
    assert found.decoding['choice_without_candidates'] == choice
    assert choice['first'] == choice['listed'] and choice['intervals'].keys() == {'first', 'listed'}
    page = render(report_of(system)._data(run, done, found))
    for said in (
        'Cap: the target is among the candidates',
        'of the cap',
        'back fill rate',
        'Named first',
        'first chance',
        'listed chance',
    ):
        assert said in page
    assert found.cold_start['palr_v2']['items']

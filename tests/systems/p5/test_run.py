"""P5's smoke recipe as a user runs it, with fewer prompts, and what is left in the workdir."""

import gzip
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.runs.record import facts_of
from llmrec_jax.runs.run import Run
from llmrec_jax.stages.corpus import SPLITS, USER_IDS
from llmrec_jax.stages.prompt_tasks import ITEM_NAMES, TASKS, vocabulary
from llmrec_jax.systems.p5.system import P5System
from llmrec_jax.training.columns import ColumnStore
from tests.systems.configured import run_phases

SHORT = (
    '--gin_file=gin_configs/p5/amazon_musical_instruments.gin',
    '--gin_file=gin_configs/models/tiger_tiny.gin',
    '--gin.CATEGORY=Small',
    '--gin.VOCABULARY_SIZE=440',
    '--gin.CANDIDATES=10',
    '--gin.EPOCHS=2',
    "--gin.TASK_FEATURE_LENGTHS={'inputs': 96, 'targets': 8}",
    '--gin.TRAIN_STEPS=4',
    '--gin.WARMUP_STEPS=1',
    '--gin.BATCH_SIZE=16',
    "--gin.p5.P5Tasks.evaluated=('1-6', '2-8', '5-1')",
    '--gin.p5.P5Tasks.cases=8',
    '--gin.p5.P5Tasks.ranked_cases=3',
    '--gin.system.P5System.validation_examples=40',
    '--gin.trainer.Trainer.validate_every=2',
    '--gin.trainer.Trainer.checkpoint_every=2',
    '--gin.trainer.Trainer.length_buckets=()',
    '--gin.trainer.Trainer.microbatches=1',
)
PREFIX = 'p5_amazon_reviews_2014_small'
MIXTURE = f'{PREFIX}_train'
RANKING = f'{PREFIX}_direct_5_1'
USERS, ITEMS, EVENTS = 10, 20, 6
WORDS = ('sound', 'strings', 'wood', 'colour', 'weight')


def write_reviews(folder: pathlib.Path) -> pathlib.Path:
    """Raw reviews of a few users, for a corpus with ratings, headlines and reviews."""
    random = np.random.default_rng(0)
    lines = [
        {
            'reviewerID': f'A{user}',
            'asin': f'B{item:03d}',
            'overall': float(1 + (user + item) % 5),
            'summary': f'Headline {item}',
            'reviewText': f'I like the {WORDS[(user + item) % len(WORDS)]}. It is number {item}.',
            'unixReviewTime': 1_400_000_000 + 86_400 * place,
        }
        for user in range(USERS)
        for place, item in enumerate(random.permutation(ITEMS)[:EVENTS].tolist())
    ]
    with gzip.open(folder / 'reviews_Small_5.json.gz', 'wt') as file:
        file.write('\n'.join(map(json.dumps, lines)))
    return folder


@pytest.fixture(scope='module')
def flags(tmp_path_factory) -> tuple[str, ...]:
    folder = write_reviews(tmp_path_factory.mktemp('reviews'))
    core = '--gin.amazon_reviews_2014.AmazonReviews2014.k_core=1'
    return (*SHORT, f'--gin.MANUAL_DIR={folder}', core)


@pytest.fixture(scope='module')
def prepared(flags, tmp_path_factory) -> tuple[P5System, Run]:
    """A workdir in which everything before training is done."""
    arguments = [*flags, f'--gin.WORKDIR={tmp_path_factory.mktemp("p5") / "run"}']
    return run_phases(arguments, ('prepare',))


@pytest.fixture
def made(prepared) -> Run:
    return prepared[1]


@pytest.fixture(scope='module')
def finished(prepared, flags, tmp_path_factory) -> tuple[P5System, Run]:
    """A copy of it, trained for four steps and evaluated."""
    workdir = tmp_path_factory.mktemp('p5') / 'finished'
    shutil.copytree(prepared[1].root, workdir)
    return run_phases([*flags, f'--gin.WORKDIR={workdir}'], ('train', 'evaluate'))


@pytest.mark.smoke
def test_the_mixture_is_materialised_with_every_epoch_s_draws(made):
    summary = made[facts_of('tasks')]
    # Of six events four are trained on; the families of reviews ask each event once, the others each user.
    assert sum(summary['epoch'].values()) == USERS * (4 * 3 + 5 + 5 + 10 + 10 + 5)
    assert summary['examples']['train'] == 2 * sum(summary['epoch'].values())
    assert len(made[TASKS].examples(MIXTURE, 'validation')) == 40
    assert set(summary['left_out']) >= {'1-2', '3-1', '5-3'} and summary['overlap'] == {
        'validation': 0.0,
        'test': 0.0,
    }


@pytest.mark.smoke
def test_what_an_evaluation_reads_is_there_and_says_the_same(prepared):
    system, made = prepared
    tasks = made[TASKS]
    evaluated = [f'{PREFIX}_rating_1_6', f'{PREFIX}_sequential_2_8', RANKING]
    assert made[TASKS].mixtures[f'{PREFIX}_eval'] == evaluated
    assert len(made[ITEM_NAMES]) == ITEMS
    words = made[vocabulary(system.tasks.vocabulary)]
    for name in evaluated:
        facts, examples = tasks.facts(name), tasks.examples(name, 'test')
        references = tasks.references(name, 'test')
        assert set(facts['columns']) | {'inputs', 'targets'} == set(examples.features)
        assert len(references) == len(examples) == (30 if facts['answer'] == 'yes_no_ranking' else 8)
        for row, reference in enumerate(references):
            assert words.decode(examples[row]['targets']) == reference
            if facts['answer'] == 'item_of_candidates':
                target = int(examples[row]['target'][0])
                assert made[ITEM_NAMES][target] == reference
                assert target in examples[row]['candidates'] and len(examples[row]['candidates']) == 10


@pytest.mark.smoke
def test_a_ranking_asks_about_every_candidate_of_a_case_in_turn(made):
    examples = made[TASKS].examples(RANKING, 'test')
    rows = [examples[row] for row in range(len(examples))]
    cases = made[SPLITS].test
    target_of = dict(zip(cases.user.tolist(), cases.target.tolist(), strict=True))
    for start in range(0, 30, 10):
        case = rows[start : start + 10]
        assert len({int(row['user'][0]) for row in case}) == 1
        (right,) = [int(row['target'][0]) for row in case if row['answer'][0] == 1]
        assert right == target_of[int(case[0]['user'][0])]


@pytest.mark.slow
def test_training_and_evaluating_read_no_tensorflow_where_the_examples_are_made(made, flags, tmp_path):
    workdir = tmp_path / 'copy'
    shutil.copytree(made.root, workdir)
    code = (
        'import sys\n'
        'from tests.systems.configured import run_phases\n'
        f'run_phases({[*flags, f"--gin.WORKDIR={workdir}"]!r}, ("train", "evaluate"))\n'
        'assert not {"tensorflow", "seqio"} & set(sys.modules)\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
    assert (workdir / 'report.html').is_file()


@pytest.mark.smoke
def test_a_single_task_keeps_the_report_of_the_whole_mixture(finished, flags):
    system, run = finished
    page = (run.root / 'report.html').read_text()
    assert system.mixture_or_task_name in page
    one = [*flags, f'--gin.WORKDIR={run.root}', f"--gin.MIXTURE_OR_TASK_NAME='{PREFIX}_rating_1_6'"]
    run_phases(one, ('evaluate',))
    assert (run.root / 'report.html').read_text() == page
    assert 'RMSE' in (run.root / 'evaluation' / f'{PREFIX}_rating_1_6' / 'report.html').read_text()


@pytest.mark.smoke
def test_histories_are_answered_by_the_next_item_prompt(finished):
    system, run = finished
    recommender, cases = system.recommender(run), run[SPLITS].test
    found = recommender.recommend(cases, 5, seen_items='removed')
    assert found.items.shape == (USERS, 5) and (found.items >= 0).all()
    for row in range(USERS):
        assert not np.isin(found.items[row], cases.histories[row]).any()
    prompt = recommender.prompts(cases)[3]
    names, user = run[ITEM_NAMES], json.loads((run.root / 'user_names.json').read_text())['user'][3]
    history = [names[item] for item in cases.histories[3]]
    assert prompt in {f'History of {user} : {sign.join(history)} . Next item:' for sign in (' , ', ' -> ')}


@pytest.mark.smoke
def test_histories_from_outside_are_answered_as_those_of_the_corpus(finished):
    system, run = finished
    recommender, test = system.recommender(run), run[SPLITS].test
    ids = [run[USER_IDS][user] for user in test.user.tolist()]
    outside = RankingCases(np.arange(USERS), test.histories, np.zeros(USERS, np.int64))
    asked = recommender.for_users(ids)
    expected = recommender.recommend(test, 4, seen_items='kept')
    found = asked.recommend(outside, 4, seen_items='kept')
    np.testing.assert_array_equal(found.items, expected.items)
    stranger = recommender.for_users(['nobody'] * USERS)
    assert stranger.prompts(outside)[0].startswith('History of nobody : ')
    assert (stranger.recommend(outside, 4, seen_items='kept').items >= 0).all()
    with pytest.raises(ValueError, match='beam'):
        asked.recommend(outside, 21, seen_items='kept')


@pytest.mark.smoke
def test_materialising_goes_on_after_a_kill_with_what_is_not_complete(made, flags, tmp_path, monkeypatch):
    from llmrec_jax.stages import materialise

    workdir = tmp_path / 'killed'
    shutil.copytree(made.root, workdir)
    (workdir / 'stages' / 'tasks.json').unlink()
    (workdir / 'tasks' / 'mixtures.json').unlink()
    whole = {path: path.stat().st_mtime_ns for path in (workdir / 'tasks' / MIXTURE).rglob('manifest.json')}
    # What a kill leaves: one task absent, another half-written beside its place.
    shutil.rmtree(workdir / 'tasks' / RANKING)
    (workdir / 'tasks' / RANKING / 'test.partial').mkdir(parents=True)
    again = []
    once = materialise.materialise
    monkeypatch.setattr(
        materialise, 'materialise', lambda name, *rest, **how: again.append(name) or once(name, *rest, **how)
    )
    run_phases([*flags, f'--gin.WORKDIR={workdir}'], ('prepare',))
    assert again == [RANKING]
    assert all(path.stat().st_mtime_ns == time for path, time in whole.items())
    fresh, before = (
        ColumnStore.open(root / 'tasks' / RANKING / 'test').fingerprint for root in (workdir, made.root)
    )
    assert fresh == before
    assert json.loads((workdir / 'tasks' / 'mixtures.json').read_text()) == made[TASKS].mixtures


def test_a_vocabulary_larger_than_the_network_is_found_out_before_any_task_is_made(flags, tmp_path):
    arguments = [*flags, f'--gin.WORKDIR={tmp_path}', '--gin.config.T5Config.vocab_size=300']
    with pytest.raises(ValueError, match='440 tokens.*300'):
        run_phases(arguments, ('prepare',))
    assert not (tmp_path / 'tasks').exists()


@pytest.mark.smoke
def test_cut_prompts_are_counted(made):
    store = made[TASKS].examples(MIXTURE, 'train')
    tally = store.manifest['provenance']['tallies']['targets_cut']
    assert made[facts_of('tasks')]['cut']['train']['targets'] == tally
    assert 0 < tally['rows'] <= np.count_nonzero(store.lengths('targets') == 8)
    assert tally['rows'] < tally['total']

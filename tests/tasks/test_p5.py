"""P5's tasks and mixtures in SeqIO: what is registered, what examples say, and what is never shown."""

import collections
import dataclasses
import itertools
import re

import numpy as np
import pytest
import seqio
from scipy import stats

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.prompts.p5 import groups
from llmrec_jax.prompts.p5.data import P5
from llmrec_jax.prompts.p5.groups import P5Prompts
from llmrec_jax.prompts.template import Template
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from tasks import prompt_pipeline, registration
from tasks.p5 import EVALUATED, P5Tasks
from tasks.prompt_tasks import TaskSet
from tests.prompts.corpora import corpus_of

LENGTHS = {'inputs': 130, 'targets': 28}
FAMILIES = {'rating', 'sequential', 'explanation', 'review', 'direct'}
VOCABULARY = TrainedVocabulary(size=420, extra_ids=0)


@dataclasses.dataclass(frozen=True)
class Source:
    """A corpus that is in memory, as a source."""

    name: str = 'test/corpus'


def tasks_of(**changed) -> P5Tasks:
    given = {
        'corpus': Source(),
        'data_dir': '',
        'workdir': '',
        'vocabulary': VOCABULARY,
        'p5': P5(prompts=P5Prompts(candidates=5)),
        'epochs': 2,
        'feature_lengths': LENGTHS,
        **changed,
    }
    return P5Tasks(**given)


@pytest.fixture(scope='module')
def corpus() -> Corpus:
    """Users, items and titles that can be told apart in any prompt."""
    rng = np.random.default_rng(0)
    histories = [rng.permutation(25)[:7].tolist() for _ in range(12)]
    words = ('sound', 'strings', 'wood', 'colour', 'weight')
    reviews = [f'I like the {words[row % 5]}.' for row in range(12 * 7)]
    return corpus_of(histories, [f'<title {row}>' for row in range(25)], reviews=reviews)


@pytest.fixture(scope='module')
def vocabulary(corpus, tmp_path_factory):
    task_set = tasks_of().build_over(corpus)
    return VOCABULARY.make_at(tmp_path_factory.mktemp('vocabulary'), task_set.training_texts())


@pytest.fixture(scope='module')
def registered(corpus, vocabulary) -> TaskSet:
    other = dataclasses.replace(
        corpus, name='test/other', items=dataclasses.replace(corpus.items, brand=['another brand'] * 25)
    )
    task_set = tasks_of(transfer_to=Source('test/other')).build_over(corpus, other)
    prompt_pipeline.register(task_set, vocabulary)
    return task_set


def dataset(name: str, split: str, lengths=LENGTHS, **how) -> list[dict]:
    provider = seqio.get_mixture_or_task(name)
    return list(provider.get_dataset(lengths, split, shuffle=False, num_epochs=1, **how).as_numpy_iterator())


@pytest.fixture(scope='module')
def training(registered) -> dict[str, list[dict]]:
    """The examples of every training task, all epochs of them."""
    return {task.name: dataset(task.name, 'train') for task in registered.training}


def test_every_family_has_tasks_to_train_on_and_a_task_of_each_template(registered):
    assert {task.group.family for task in registered.training} == FAMILIES
    assert {task.name for task in registered.training} == {
        f'p5_test_corpus_train_{name}' for name in groups.RATES if name != 'zero_shot_transfer'
    }
    names = {f'p5_test_corpus_{one.family}_{one.id.replace("-", "_")}' for one in groups.TEMPLATES}
    assert {task.name for task in registered.evaluation} == names
    assert names <= set(seqio.TaskRegistry.names())
    mixtures = {f'p5_test_corpus_{which}' for which in ('train', 'eval', 'zero_shot')}
    assert mixtures <= set(seqio.MixtureRegistry.names())


def test_the_mixture_of_evaluation_has_a_seen_template_of_each_group_and_all_that_are_held_out(registered):
    found = collections.defaultdict(set)
    for name in registered.mixtures['p5_test_corpus_eval']:
        task = registered.task(name)
        found[task.group.name].add(task.template.held_out)
    assert set(found) == set(groups.RATES) - {'zero_shot_transfer'}
    assert all(False in seen for seen in found.values())
    held_out = {one.id for one in groups.TEMPLATES if one.held_out and one.family != 'zero_shot'}
    assert held_out <= set(EVALUATED)


def test_a_name_stands_for_one_task(corpus, vocabulary, registered):
    prompt_pipeline.register(registered, vocabulary)
    for changed in ({'seed': 1}, {'p5': P5(prompts=P5Prompts(candidates=6))}):
        other = tasks_of(**changed).build_over(corpus)
        with pytest.raises(ValueError, match='another task'):
            prompt_pipeline.register(other, vocabulary)
    fewer = dataclasses.replace(registered, rates=dict(list(registered.rates.items())[:2]))
    with pytest.raises(ValueError, match='another mixture'):
        prompt_pipeline.register(fewer, vocabulary)


def test_a_process_may_forget_its_tasks_and_go_on_with_others(corpus, vocabulary):
    sources = {'first': Source('forgotten/corpus'), 'second': Source('kept/corpus')}
    sets = {name: tasks_of(corpus=source).build_over(corpus) for name, source in sources.items()}
    for task_set in sets.values():
        prompt_pipeline.register(task_set, vocabulary)
    gone = registration.forget(sets['first'].name)
    assert sets['first'].training_mixture in gone
    assert {task.name for task in sets['first'].evaluation} <= set(gone)
    assert seqio.get_mixture_or_task(sets['second'].training_mixture).tasks
    prompt_pipeline.register(tasks_of(corpus=sources['first'], seed=1).build_over(corpus), vocabulary)


def test_the_zero_shot_mixture_holds_what_training_never_saw(registered):
    tasks = [registered.task(name) for name in registered.mixtures['p5_test_corpus_zero_shot']]
    transfer = {f'Z-{number}' for number in range(1, 8)}
    assert {task.template.id for task in tasks} == {'1-10', '2-13', '3-12', '4-4', '5-8', *transfer}
    examples = dataset('p5_test_corpus_zero_shot_Z_2', 'test')
    assert all(b'another brand' in example['inputs_pretokenized'] for example in examples)


def test_the_shop_has_one_name_in_all_sizes():
    assert tasks_of(corpus=SimulatedShop('tiny')).name == tasks_of(corpus=SimulatedShop('small')).name
    assert tasks_of(corpus=SimulatedShop('tiny')).name == 'p5_simulated_shop'


@pytest.mark.smoke
def test_seqio_and_plain_python_give_the_same_examples_epoch_by_epoch(registered, training, vocabulary):
    for task in registered.training:
        plain = [example for epoch in range(task.epochs) for example in task.examples('train', epoch)]
        for in_seqio, example in zip(training[task.name], plain, strict=True):
            for side in ('inputs', 'targets'):
                assert in_seqio[f'{side}_pretokenized'].decode() == example[side]
                assert in_seqio[side].tolist() == [*vocabulary.encode(example[side]), vocabulary.eos_id]
    first, second = (
        [example['inputs'] for example in registered.training[0].examples('train', epoch)] for epoch in (0, 1)
    )
    assert first != second


@pytest.mark.parametrize('answer', ['item_of_candidates', 'yes_no_ranking', 'stars'])
def test_evaluation_tasks_carry_the_columns_that_they_name(registered, answer):
    task = next(task for task in registered.evaluation if task.answer == answer)
    for in_seqio, plain in zip(dataset(task.name, 'test'), task.examples('test'), strict=True):
        assert in_seqio['inputs_pretokenized'].decode() == plain['inputs']
        for column in task.columns[1:]:
            np.testing.assert_array_equal(in_seqio[column], plain['item' if column == 'target' else column])
    if answer == 'yes_no_ranking':
        answers = np.asarray([example['answer'] for example in task.examples('test')])
        assert (answers.reshape(-1, task.candidates).sum(axis=1) == 1).all()
    if answer == 'item_of_candidates':
        assert all(example['item'] in example['candidates'] for example in task.examples('test'))


@pytest.mark.smoke
def test_no_training_task_shows_a_held_out_template_or_a_held_out_pair(corpus, registered, training):
    held_out = {template.id for template in groups.TEMPLATES if template.held_out}
    users = {name: row for row, name in enumerate(corpus.users.user_id)}
    users |= {name: row for row, name in enumerate(registered.training[0].tables['user'])}
    items = {name: row for row, name in enumerate(corpus.items.title)}
    items |= {name: row for row, name in enumerate(registered.item_names)}
    shown, families = set(), set()
    for name, examples in training.items():
        for example in examples:
            assert example['template'].decode() not in held_out
            text = b' '.join((example['inputs_pretokenized'], example['targets_pretokenized'])).decode()
            (user,) = {users[word] for word in re.findall(r'user_\d+|U\d+', text)}
            shown |= {(user, items[word]) for word in re.findall(r'item_\d+|<title \d+>', text)}
        families.add(registered.task(name).group.family)
    splits = leave_last_out(corpus)
    tested = {
        pair
        for cases in (splits.validation, splits.test)
        for pair in zip(cases.user.tolist(), cases.target.tolist())
    }
    everything = set(zip(corpus.events.user.tolist(), corpus.events.item.tolist()))
    assert families == FAMILIES
    assert not shown & tested
    assert everything - tested <= shown


@pytest.mark.smoke
def test_the_mixture_draws_each_group_at_its_rate(registered):
    provider = seqio.get_mixture_or_task('p5_test_corpus_train')
    drawn = provider.get_dataset(
        LENGTHS, 'train', shuffle=False, seed=3, passthrough_features=['template']
    ).take(800)
    group_of = {template.id: f'{template.family}_{template.group}' for template in groups.TEMPLATES}
    counts = collections.Counter(
        f'p5_test_corpus_train_{group_of[example["template"].decode()]}'
        for example in drawn.as_numpy_iterator()
    )
    expected = np.asarray([registered.rates[name] for name in registered.rates], float)
    observed = [counts[name] for name in registered.rates]
    assert stats.chisquare(observed, expected * 800 / expected.sum()).pvalue > 1e-4
    for task in registered.training:
        rate = registered.rates[task.name] / len(task.records['train'])
        assert rate == groups.RATES[task.group.name]


def test_a_right_answer_gets_the_best_of_every_metric(registered, vocabulary):
    for name in registered.mixtures['p5_test_corpus_eval']:
        task = seqio.get_mixture_or_task(name)
        examples = list(itertools.islice(registered.task(name).examples('test'), 10))
        targets = [task.postprocess_fn(example['targets'], is_target=True) for example in examples]
        (metric,) = task.metric_fns
        answer = registered.task(name).answer
        if answer in ('item', 'item_of_candidates'):
            found = metric(targets, [[registered.item_names[0], target] for target in targets])
            assert {found[key] for key in found if key.startswith('hit_rate@1')} == {1.0}, found
        elif answer == 'yes_no_ranking':
            found = metric(targets, [0.0] * len(targets))
            assert {found[key] for key in found if key.startswith('hit_rate@1')} == {1.0}, found
        else:
            found = metric(targets, targets)
            best = {'stars': ('rmse', 0.0), 'sentence': ('exact_match', 1.0)}.get(answer, ('accuracy', 1.0))
            assert found[best[0]] == best[1], found


def test_long_prompts_are_cut_before_their_end_token_and_counted(registered, vocabulary):
    name = 'p5_test_corpus_sequential_2_8'
    whole = list(registered.task(name).examples('test'))
    for long, short in zip(whole, dataset(name, 'test', {'inputs': 20, 'targets': 4}), strict=True):
        tokens = vocabulary.encode(long['inputs'])
        assert short['inputs'].tolist() == [*tokens[:19], vocabulary.eos_id]
        assert short['inputs_cut'] == len(tokens) - 19


def test_evaluation_is_over_a_draw_of_the_cases_that_every_template_shares(corpus):
    task_set = tasks_of(cases=4, ranked_cases=2).build_over(corpus)
    by_group = collections.defaultdict(set)
    for task in task_set.evaluation:
        records = task.records['test']
        assert len(records) == (2 * 5 if task.answer == 'yes_no_ranking' else 4)
        by_group[task.group.name].add(tuple(records.columns['user'].tolist()))
    assert all(len(users) == 1 for users in by_group.values())


def test_a_template_that_names_an_absent_field_is_refused(corpus):
    template = Template('1-11', 'rating', 'stars', 'How does {user} rate {colour} ?', '{stars}')
    prompts = P5Prompts(candidates=5, templates=(*groups.TEMPLATES, template))
    with pytest.raises(
        ValueError, match="template '1-11' of 'rating' names colour, which RatedItem does not"
    ):
        tasks_of(p5=P5(prompts=prompts)).build_over(corpus)


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'evaluated': ('1-6', '1-60')}, "names '1-60'; the templates are"),
        ({'feature_lengths': {'inputs': 512}}, "must give 'inputs' and 'targets' two tokens or more"),
        ({'epochs': 0}, 'P5Tasks.epochs=0 must be at least 1'),
        ({'cases': 0}, 'P5Tasks.cases=0 must be at least 1'),
        ({'vocabulary_examples': 0}, 'P5Tasks.vocabulary_examples=0 must be at least 1'),
    ],
)
def test_settings_that_cannot_be_are_refused(changed, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        tasks_of(**changed)


def test_a_family_trained_alone_has_its_share_of_the_mixture_and_reads_the_same_vocabulary(corpus):
    together = tasks_of().build_over(corpus)
    alone = tasks_of(families=('rating', 'review')).build_over(corpus)
    assert (
        alone.rates == {name: rate for name, rate in together.rates.items() if '_train_r' in name}
        and len(alone.rates) == 2
    )
    assert list(alone.training_texts()) == list(together.training_texts())
    with pytest.raises(ValueError, match="names 'ratings', of which the corpus has no training records"):
        tasks_of(families=('ratings',)).build_over(corpus)


def test_an_answer_that_cannot_be_told_is_refused(corpus):
    template = Template('1-11', 'rating', 'stars', 'Whom does {item} suit?', '{user}')
    prompts = P5Prompts(candidates=5, templates=(*groups.TEMPLATES, template))
    with pytest.raises(ValueError, match="template '1-11': its target names none of"):
        tasks_of(p5=P5(prompts=prompts)).build_over(corpus)


def test_awkward_texts_are_cut_or_left_out_and_said(corpus, caplog):
    events = dataclasses.replace(corpus.events, review=['', *corpus.events.review[1:]])
    items = dataclasses.replace(corpus.items, title=['x' * 10_000, *corpus.items.title[1:]])
    task_set = tasks_of().build_over(dataclasses.replace(corpus, items=items, events=events))
    assert 'titles: 1 of 25 are longer than 200 characters and are cut there; the longest' in caplog.text
    assert 'that of B0, has 10000' in caplog.text
    assert '1 of 84 rated events have an empty review' in caplog.text
    texts = list(task_set.training_texts())
    assert max(map(len, texts)) < 1000


@pytest.mark.parametrize('stars', [0, 6])
def test_a_rating_off_the_scale_is_refused(corpus, stars):
    rating = corpus.events.rating.copy()
    rating[3] = stars
    spoilt = dataclasses.replace(corpus, events=dataclasses.replace(corpus.events, rating=rating))
    with pytest.raises(ValueError, match=f'event 3 has a rating of {stars}, which is none of 1, 2, 3, 4, 5'):
        tasks_of().build_over(spoilt)

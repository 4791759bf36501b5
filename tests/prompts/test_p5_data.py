"""All of P5 over a corpus: what is held out stays out, and what cannot be asked is left out aloud."""

import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from llmrec_jax.corpora.amazon_reviews_2014 import AmazonReviews2014
from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.drawn_splits import ByUser, FewShot, RandomEvents
from llmrec_jax.corpora.movielens import MovieLens
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.split_rules import (
    LEAVE_LAST_OUT,
    GlobalTemporal,
    SplitRule,
    UserTemporal,
    split_by,
)
from llmrec_jax.corpora.splits import TRAIN, leave_last_out
from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.naming.numbers import RandomNumbers
from llmrec_jax.prompts.p5 import direct
from llmrec_jax.prompts.p5.data import P5, P5Data
from llmrec_jax.prompts.p5.groups import RATES, P5Prompts
from llmrec_jax.prompts.rating_scale import RatingScale
from llmrec_jax.prompts.records import event_roles, histories
from llmrec_jax.prompts.records.words import tables_for
from tests.prompts.corpora import corpus_of
from tests.shared_data import shared_data


@pytest.fixture(scope='module')
def shop():
    return SimulatedShop(size='tiny').build()


@pytest.fixture(scope='module')
def shop_data(shop):
    return P5(prompts=P5Prompts(candidates=10)).build(shop)


@pytest.fixture(scope='module')
def small():
    """Users, items and titles that can be told apart in any prompt."""
    rng = np.random.default_rng(0)
    histories = [rng.permutation(25)[:7].tolist() for _ in range(12)]
    words = ('sound', 'strings', 'wood', 'colour', 'weight')
    reviews = [f'I like the {words[row % 5]}.' for row in range(12 * 7)]
    return corpus_of(histories, [f'<title {row}>' for row in range(25)], reviews=reviews)


def _shown_pairs(data: P5Data) -> set[tuple[int, int]]:
    """(user, item) of every training prompt of one epoch, read from the texts themselves."""
    tables = tables_for(NUMPY, data.tables)
    users = {name: row for field in ('user', 'user_name') for row, name in enumerate(data.tables[field])}
    items = {name: row for field in ('item', 'title') for row, name in enumerate(data.tables[field])}
    pairs = set()
    for name, group in data.training_groups.items():
        for example in group.examples(data.records['train'][name], tables, seed=0):
            text = f'{example["inputs"]} {example["targets"]}'
            (user,) = {users[word] for word in re.findall(r'user_\d+|U\d+', text)}
            pairs |= {(user, items[word]) for word in re.findall(r'item_\d+|<title \d+>', text)}
    return pairs


def _held_out(corpus: Corpus, split: SplitRule = LEAVE_LAST_OUT) -> set[tuple[int, int]]:
    """Pairs of events that training has not."""
    rows = np.flatnonzero(split.cut(corpus).roles != TRAIN)
    return set(zip(corpus.events.user[rows].tolist(), corpus.events.item[rows].tolist()))


RULES = (
    LEAVE_LAST_OUT,
    UserTemporal(0.2, 0.3),
    GlobalTemporal(0.5, 0.8),
    ByUser(0.2, 0.2, 0.5),
    RandomEvents(0.2, 0.2),
    FewShot(share=0.5),
    FewShot(share=0.5, of='events'),
)


@pytest.mark.parametrize('split', RULES, ids=lambda split: split.name)
def test_no_family_learns_from_what_a_split_holds_out(small, split):
    data = P5(prompts=P5Prompts(candidates=5)).build(small, split)
    held_out = _held_out(small, split)
    assert held_out and not _shown_pairs(data) & held_out
    assert data.overlap == event_roles.Overlap(0.0, 0.0)
    # Nor does any say a word of a review that is held out.
    kept = split.cut(small).roles == TRAIN
    for family in ('rating_stars', 'review_review', 'explanation_sentence'):
        assert kept[data.records['train'][family].columns['event']].all()
    for name in ('validation', 'test'):
        cases = getattr(split_by(split, small), name)
        asked = data.records[name]['sequential_next_item'].columns
        assert asked['user'].tolist() == cases.user.tolist()
        for row in range(len(cases)):
            assert asked['items'][row].tolist() == [*cases.histories[row], cases.target[row]]


def test_no_training_prompt_of_any_family_shows_a_held_out_pair(small):
    data = P5(prompts=P5Prompts(candidates=5)).build(small)
    assert len(data.training_groups) == 8
    shown = _shown_pairs(data)
    trained = set(zip(small.events.user.tolist(), small.events.item.tolist())) - _held_out(small)
    assert not shown & _held_out(small)
    assert trained <= shown
    assert data.overlap.test == data.overlap.validation == 0


def test_the_published_split_shows_them_and_says_how_many(small):
    data = P5(prompts=P5Prompts(candidates=5), review_split='random').build(small)
    held_out = _held_out(small)
    shown = len(_shown_pairs(data) & held_out) / len(held_out)
    assert shown == pytest.approx((data.overlap.test + data.overlap.validation) / 2)
    assert data.overlap.test > 0.6


def test_negatives_outside_training_alone_may_be_held_out_items(small):
    data = P5(prompts=P5Prompts(candidates=5), negatives='outside_training').build(small)
    assert _shown_pairs(data) & _held_out(small)


def test_the_shop_has_every_group_in_every_split(shop_data):
    expected = set(RATES) - {'zero_shot_transfer'}
    assert all(set(records) == expected for records in shop_data.records.values())
    assert set(shop_data.training_groups) == expected and not shop_data.left_out
    rows = {split: len(records['rating_stars']) for split, records in shop_data.records.items()}
    assert rows == {'train': 775, 'validation': 200, 'test': 200}


def test_every_placeholder_is_filled_in_every_template(shop_data):
    tables = tables_for(NUMPY, shop_data.tables)
    for name, records in shop_data.records['test'].items():
        group = shop_data.evaluation_groups[name]
        for template in group.templates:
            prompt = group.only([template.id]).example(records[0], tables, seed=0)
            assert prompt['template'] == template.id
            assert not re.search(r'[{}]', prompt['inputs'] + prompt['targets']), prompt
            assert prompt['inputs'] and prompt['targets']


def test_evaluation_has_no_noise_on_ratings(shop, shop_data):
    group = shop_data.evaluation_groups['rating_stars'].only(['1-10'])
    records = shop_data.records['test']['rating_stars']
    for example, record in zip(group.examples(records, tables_for(NUMPY, shop_data.tables), seed=0), records):
        assert float(example['targets']) == shop.events.rating[record['event']]


def test_families_that_a_corpus_cannot_fill_are_left_out_with_a_message(caplog):
    histories = [np.random.default_rng(user).permutation(30)[:6].tolist() for user in range(5)]
    corpus = corpus_of(histories, [''] * 30, reviews=[''] * 30, stars=[np.nan] * 30)
    data = P5(prompts=P5Prompts(candidates=10)).build(corpus)
    assert set(data.training_groups) == {
        'sequential_next_item', 'sequential_candidates', 'sequential_yes_no', 'direct_yes_no',
        'direct_candidates',
    }  # fmt: skip
    assert [template.id for template in data.training_groups['direct_yes_no'].templates] == ['5-1', '5-2']
    assert data.left_out['5-3'] == 'no item has a title' and data.left_out['1-1'] == 'no event has a rating'
    assert (
        'of the 8 templates of the family direct, 2 (5-3, 5-4) are left out: no item has a title'
        in caplog.text
    )
    assert (
        'of the 4 templates of the family review, all are left out: no event has a headline; ' in caplog.text
    )


def test_a_rating_off_the_scale_and_a_catalogue_too_small_are_refused():
    histories = [[0, 1, 2, 3], [4, 5, 6]]
    with pytest.raises(ValueError, match='event 1 has a rating of 6'):
        P5(prompts=P5Prompts(candidates=3)).build(
            corpus_of(histories, ['t'] * 10, stars=[5, 6, 0, 1, 1, 1, 1])
        )
    with pytest.raises(ValueError, match='leaves 6 negatives; set P5Prompts.candidates to 7 or less'):
        P5().build(corpus_of(histories, ['t'] * 10))


@pytest.mark.parametrize('options', [{'review_split': 'temporal'}, {'negatives': 'popular'}])
def test_an_unknown_choice_is_refused(options):
    with pytest.raises(ValueError, match='expected one of'):
        P5(**options)


def test_plain_prompts_import_no_tensorflow():
    modules = (
        'llmrec_jax.prompts, llmrec_jax.prompts.p5.data, llmrec_jax.prompts.naming.titles, '
        'llmrec_jax.prompts.naming.collaborative, llmrec_jax.prompts.naming.numbers'
    )
    code = f'import sys, {modules}; sys.exit("tensorflow" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_the_sizes_of_an_epoch_are_the_rates_times_the_records(shop_data):
    assert shop_data.epoch_sizes() == {
        'rating_stars': 775,
        'sequential_next_item': 5 * 200,
        'sequential_candidates': 5 * 200,
        'sequential_yes_no': 10 * 200,
        'explanation_sentence': len(shop_data.records['train']['explanation_sentence']),
        'review_review': 775,
        'direct_yes_no': 10 * 200,
        'direct_candidates': 5 * 200,
    }
    assert all(group.rate == 1 for group in shop_data.evaluation_groups.values())


def test_groups_drawn_by_their_sizes_come_as_often_as_the_paper_has_them(shop_data):
    names, sizes = zip(*shop_data.epoch_sizes().items())
    rng = np.random.default_rng(0)
    drawn = rng.choice(len(names), size=100_000, p=np.asarray(sizes) / sum(sizes))
    expected = np.asarray([RATES[name] for name in names])
    counts = np.bincount(drawn, minlength=len(names))
    wanted = expected * [len(shop_data.records['train'][name]) for name in names]
    assert stats.chisquare(counts, wanted * 100_000 / wanted.sum()).pvalue > 1e-4


def test_each_candidate_of_a_case_is_asked_about_by_itself(shop_data):
    cases = shop_data.records['test']['direct_candidates']
    asked = histories.asked_candidates(cases.take(np.arange(3)), 96, candidates=10, seed=0)
    group = direct.asked(shop_data.evaluation_groups['direct_yes_no']).only(['5-1'])
    examples = list(group.examples(asked, tables_for(NUMPY, shop_data.tables), seed=0))
    assert [example['targets'] for example in examples].count('yes') == 3
    for example in examples:
        assert shop_data.tables['item'][example['item']] in example['inputs'].split()
        assert (example['targets'] == 'yes') == (example['answer'] == 1)


def test_zero_shot_prompts_tell_users_of_the_source_about_items_of_the_target(small, caplog):
    other = dataclasses.replace(
        small, name='test/other', items=dataclasses.replace(small.items, brand=['another brand'] * 25)
    )
    transfer = P5().transfer(small, other)
    tables = tables_for(NUMPY, transfer.tables)
    users = RandomNumbers().user_names(small, leave_last_out(small).train)
    assert len(transfer.records) == len(small.events)
    for template in transfer.group.templates:
        group = transfer.group.only([template.id])
        example = group.example(transfer.records[30], tables, seed=0)
        assert 'another brand' in example['inputs'] or template.id == 'Z-7'
        name = users[example['user']] if template.id in ('Z-1', 'Z-3', 'Z-6') else f'U{example["user"]}'
        assert name in re.split(r'[ :.,?]+', example['inputs'])


def test_transfer_to_a_corpus_without_reviews_is_refused(small):
    silent = corpus_of([[0, 1, 2]], ['', '', ''], reviews=['', '', ''], stars=[np.nan] * 3)
    with pytest.raises(ValueError, match='no template of zero-shot transfer can be filled'):
        P5().transfer(small, silent)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('source', 'families', 'candidates', 'scale'),
    [
        (
            ('amazon-musical-instruments', 'Musical_Instruments'),
            {'rating', 'sequential', 'explanation', 'review', 'direct'}, 100, RatingScale(),
        ),
        (('ml-latest-small', None), {'rating', 'sequential', 'direct'}, 100, RatingScale(0.5, 5.0, 0.5)),
    ],
    ids=['raw reviews', 'MovieLens'],
)  # fmt: skip
def test_real_corpora_give_the_families_that_they_can(source, families, candidates, scale):
    folder, category = source
    directory = str(shared_data(folder))
    corpus = (
        AmazonReviews2014(category=category, manual_dir=directory, metadata='absent').build()
        if category
        else MovieLens(variant='latest-small', manual_dir=directory).build()
    )
    data = P5(prompts=P5Prompts(candidates=candidates, scale=scale), review_split='random').build(corpus)
    assert {group.family for group in data.training_groups.values()} == families
    assert 0.7 < data.overlap.test < 0.9
    tables = tables_for(NUMPY, data.tables)
    for name, group in data.training_groups.items():
        example = group.example(data.records['train'][name][0], tables, seed=0)
        assert example['inputs'] and example['targets']

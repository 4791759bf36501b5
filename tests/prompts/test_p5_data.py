"""All of P5 over a corpus: what is held out stays out, and what cannot be asked is left out aloud."""

import re
import subprocess
import sys

import numpy as np
import pytest

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.p5.data import P5, P5Data
from llmrec_jax.prompts.p5.groups import RATES, P5Prompts
from llmrec_jax.prompts.records.words import tables_for
from tests.prompts.corpora import corpus_of


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


def _held_out(corpus: Corpus) -> set[tuple[int, int]]:
    splits = leave_last_out(corpus)
    cases = (splits.validation, splits.test)
    return {pair for split in cases for pair in zip(split.user.tolist(), split.target.tolist())}


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
    assert 'left out are the templates 5-3, 5-4: no item has a title' in caplog.text


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
        'llmrec_jax.prompts.naming.collaborative, llmrec_jax.prompts.naming.codes'
    )
    code = f'import sys, {modules}; sys.exit("tensorflow" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0

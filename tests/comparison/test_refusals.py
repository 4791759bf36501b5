"""What cannot be compared is refused with one message that names the run and what differs."""

import json
import os

import pytest

from llmrec_jax import files
from llmrec_jax.compare import main
from llmrec_jax.comparison.comparison import compare
from llmrec_jax.comparison.finished_run import read_runs
from tests.comparison.hand_made import CORPUS, HandMadeRun

ONE = HandMadeRun()


def refused(capsys, *arguments):
    """The message that the launcher ends with."""
    assert main(list(map(str, arguments))) == 1
    told = capsys.readouterr()
    assert told.out == '' and told.err.count('\n') == 1
    return told.err


@pytest.mark.parametrize(
    ('other', 'named'),
    [
        ({'corpus': {**CORPUS, 'fingerprint': 'beef', 'items': 31}}, ['other corpora', 'items 30 and 31']),
        ({'corpus': {**CORPUS, 'fingerprint': 'beef', 'provenance': {'seed': 3}}}, ['provenance.seed', ' 3']),
        ({'seen_items': 'removed'}, ['other protocols', 'seen_items', '"kept" and "removed"']),
        ({'ks': (10, 20)}, ['other protocols', 'ks', '[5, 10] and [10, 20]']),
        ({'protocol': {'candidates': 'drawn'}}, ['candidates', '"full_catalogue" and "drawn"']),
        ({'protocol': {'split_rule': 'temporal'}}, ['split_rule', '"leave_last_out" and "temporal"']),
        ({'users': range(40)}, ['other users', '60 and 40', '40 are the same']),
        ({'users': [59, *range(20)]}, ['other users', '60 and 21']),
        ({'targets': 1}, ['other splits']),
        ({'version': 1, 'system': 'tiger'}, ['other floors', 'popularity']),
        ({'width': 16}, ['no setting and no seed']),
        ({'positions': ('removed',)}, ['no position of seen items', 'removed']),
    ],
)
def test_another_corpus_split_or_protocol_is_named(other, named, tmp_path, capsys):
    # Of what is asked in one position only, no other is there.
    first = HandMadeRun(positions=('kept',)) if 'positions' in other else ONE
    folders = [first.write(tmp_path / 'a'), HandMadeRun(**other).write(tmp_path / 'b')]
    message = refused(capsys, *folders, f'--output={tmp_path / "c.html"}')
    for name in [*map(str, folders), *named]:
        assert name in message, message
    assert not (tmp_path / 'c.html').exists() and not (tmp_path / 'c.json').exists()


def edited(folder, **changes):
    path = folder / 'results.json'
    told = json.loads(path.read_text())
    files.write_json(path, {**told, **changes})


def not_there(folder):
    return folder.parent / 'nothing'


def without_results(folder):
    (folder / 'results.json').unlink()


def cut_short(folder):
    path = folder / 'results.json'
    path.write_text(path.read_text()[:-40])


def lists_cut_short(folder):
    path = folder / 'evaluation' / 'evaluate' / 'test_kept.npz'
    path.write_bytes(path.read_bytes()[:-40])


def lists_gone(folder):
    (folder / 'evaluation' / 'evaluate' / 'test_removed.npz').unlink()


def all_lists_gone(folder):
    for path in folder.glob('evaluation/*/test_kept.npz'):
        path.unlink()


def of_an_earlier_version(folder):
    edited(folder, headline=None)


def floors_alone(folder):
    HandMadeRun(training=None).write(folder)


def record_gone(folder):
    (folder / 'stages' / 'train.json').unlink()


def record_damaged(folder):
    (folder / 'stages' / 'train.json').write_text('{"name": "train"')


def trained_again(folder):
    path = folder / 'stages' / 'train.json'
    files.write_json(path, {**json.loads(path.read_text()), 'seconds': 99.0})


def other_numbers(folder):
    told = json.loads((folder / 'results.json').read_text())
    # The last digit of a mean.
    told['test']['sasrec']['ndcg@10'] += 2**-52
    edited(folder, test=told['test'])


def lists_of_other_users(folder):
    there = folder / 'evaluation' / 'floors' / 'test_kept.npz'
    other = HandMadeRun(users=range(10)).write(folder.parent / 'other')
    there.write_bytes((other / 'evaluation' / 'floors' / 'test_kept.npz').read_bytes())


def results_of_prompts(folder):
    without_results(folder)
    files.write_json(folder / 'evaluation' / 'p5_shop_eval' / 'results.json', {})


@pytest.mark.parametrize(
    ('damage', 'named'),
    [
        (not_there, ['nothing', 'is no folder']),
        (without_results, ['is not evaluated', 'config.gin']),
        (cut_short, ['results.json']),
        (lists_cut_short, ['evaluate/test_kept.npz']),
        (lists_gone, ['no lists of sasrec', 'test_seen_removed']),
        (all_lists_gone, ['test_kept.npz', 'config.gin']),
        (of_an_earlier_version, ['earlier version', 'llmrec_jax.evaluate']),
        (floors_alone, ['is not evaluated', 'sasrec', 'floors']),
        (record_gone, ['train.json', 'is gone']),
        (record_damaged, ['train.json']),
        (trained_again, ['train', 'done again']),
        (other_numbers, ['test.sasrec.ndcg@10']),
        (lists_of_other_users, ['evaluate/test_kept.npz', 'floors/test_kept.npz', 'other users']),
        (results_of_prompts, ['p5_shop_eval', 'no lists of the catalogue']),
    ],
)
def test_a_run_that_is_not_whole_is_named(damage, named, tmp_path, capsys):
    good = HandMadeRun(system='tiger').write(tmp_path / 'good')
    folder = ONE.write(tmp_path / 'bad')
    folder = damage(folder) or folder
    message = refused(capsys, good, folder, f'--output={tmp_path / "c.html"}')
    for name in [str(folder), *named]:
        assert name in message, message


def test_the_same_folder_is_named_once_however_it_is_written(tmp_path, capsys):
    folder = ONE.write(tmp_path / 'a')
    os.symlink(folder, tmp_path / 'link')
    for again in (folder, f'{folder}/', f'{tmp_path}/x/../a', tmp_path / 'link'):
        (tmp_path / 'x').mkdir(exist_ok=True)
        assert 'the same folder' in refused(capsys, folder, again)


@pytest.mark.parametrize(
    ('flag', 'named'),
    [
        ('--metric=ndcg@20', ['--metric=ndcg@20', 'ndcg@10', 'recall@5']),
        ('--metric=coverage@10', ['mrr@10']),
        ('--reference=nobody', ["'tiger'", "'markov'"]),
        ('--reference=ceiling', ['is no system']),
        ('--split=validation', ['validation', 'is not evaluated']),
        ('--output=page.txt', ['page.txt', '.html']),
    ],
)
def test_a_flag_that_cannot_be_honoured_says_what_can(flag, named, tmp_path, capsys):
    folders = [HandMadeRun(system=name).write(tmp_path / name) for name in ('tiger', 'sasrec')]
    message = refused(capsys, *folders, f'--output={tmp_path / "c.html"}', flag)
    for name in named:
        assert name in message, message


def test_one_run_is_no_comparison(tmp_path, capsys):
    assert 'two runs' in refused(capsys, ONE.write(tmp_path / 'a'))


def test_folders_of_one_name_are_told_apart_by_their_parents(tmp_path):
    folders = [HandMadeRun(seed=seed).write(tmp_path / str(seed) / 'run') for seed in range(2)]
    runs = read_runs(list(map(str, folders)), 'test')
    assert [run.name for run in runs] == ['0/run', '1/run']
    assert compare(runs).trained[0].system.of_runs == ('0/run', '1/run')


def test_what_only_measures_does_not_part_seeds(tmp_path):
    folders = [HandMadeRun(seed=seed).write(tmp_path / str(seed)) for seed in range(2)]
    record = folders[1] / 'stages' / 'floors.json'
    told = json.loads(record.read_text())
    files.write_json(record, {**told, 'config': {**told['config'], 'list_length': 50}})
    found = compare(read_runs(list(map(str, folders)), 'test'))
    assert found.trained[0].system.seeds == ('0', '1')


def test_a_switch_that_a_system_adds_of_its_own_is_no_other_protocol(tmp_path):
    shown = HandMadeRun(system='palr', protocol={'shown_candidates': 50}).write(tmp_path / 'palr')
    found = compare(read_runs([str(shown), str(ONE.write(tmp_path / 'sasrec'))], 'test'))
    assert {one.name for one in found.trained} == {'palr', 'sasrec'}

"""The whole road on the tiny shop, as a user walks it, with a network that has no time to learn."""

import codecs
import gzip
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from llmrec_jax import evaluate, infer, materialise, run
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.semantic_ids.__main__ import main as semantic_ids
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.parameter_restore import load_params
from tests.systems.short_recipe import SHORT
from tests.training.t5x_files import write_t5x

FLOORS = {'popularity', 'item_knn', 'markov', 'decayed_markov', 'category_markov'}
SYSTEMS = {'tiger', *FLOORS, 'content_scann', 'ceiling'}


def results(workdir):
    return json.loads((workdir / 'results.json').read_text())


def stages(workdir):
    return {stage['name']: stage['reused'] for stage in results(workdir)['stages']}


@pytest.mark.smoke
def test_every_system_stands_in_the_results(finished):
    found = results(finished)
    assert found['test'].keys() >= SYSTEMS
    for system in SYSTEMS:
        for metric in ('recall@5', 'ndcg@5', 'recall@10', 'ndcg@10'):
            assert 0 <= found['test'][system][metric] <= 1
    assert found['test']['tiger']['users'] == found['test']['markov']['users'] == 200
    assert {'test_seen_removed', 'validation'} <= found.keys()
    assert found['protocol']['seen_items'] == 'kept'
    assert found['decoding']['invalid_rate']['constrained'] == 0
    assert found['decoding']['invalid_rate']['unconstrained'] > 0
    recall = found['decoding']['recall@10_seen_kept']
    assert recall['constrained'] == found['validation']['tiger']['recall@10']
    assert 0 <= recall['unconstrained'] <= 1
    assert found['training']['final_step'] == 6
    assert found['test']['ceiling']['recall@10'] > found['test']['decayed_markov']['recall@10']
    for sliced in found['cold_start']['tiger'].values():
        assert sum(measured['examples'] for measured in sliced.values()) == 200
    levels = found['generative']['code_levels']['tiger']
    hits = [level['hit'] for level in levels]
    assert hits == sorted(hits, reverse=True) and hits[-1] == found['test']['tiger']['recall@10']
    assert found['serving']['scann_index']['build_seconds'] > 0


@pytest.mark.smoke
def test_the_report_needs_no_other_file(finished):
    page = (finished / 'report.html').read_text()
    assert 'src="http' not in page and 'href="http' not in page
    assert page.count('data:image/png;base64,') >= 3
    assert 'SimulatedShop.size' in page


@pytest.mark.smoke
def test_removed_items_are_in_no_list_and_lists_are_valid(finished):
    with np.load(finished / 'splits.npz') as splits:
        values, offsets = splits['test/values'], splits['test/offsets']
    lists = (
        PerUserResults.load(finished / 'evaluation' / 'evaluate' / 'test_removed.npz').systems['tiger'].items
    )
    for row in range(len(lists)):
        listed = lists[row][lists[row] >= 0]
        assert len(set(listed.tolist())) == len(listed)
        assert not set(listed.tolist()) & set(values[offsets[row] : offsets[row + 1]].tolist())


@pytest.mark.smoke
def test_a_second_run_does_nothing_again(finished):
    before = results(finished)['test']['tiger']['recall@10']
    run.main([*SHORT, f'--gin.WORKDIR={finished}'])
    assert all(stages(finished).values())
    assert results(finished)['test']['tiger']['recall@10'] == before


@pytest.mark.slow
def test_a_changed_beam_decodes_again_and_trains_nothing(finished):
    evaluate.main([*SHORT, f'--gin.WORKDIR={finished}', '--gin.BEAM_SIZE=12'])
    found = stages(finished)
    assert not found['evaluate']
    assert found['train'] and found['semantic_ids']


@pytest.mark.slow
def test_training_reads_no_tensorflow_where_the_examples_are_made(finished, tmp_path):
    workdir = tmp_path / 'copy'
    shutil.copytree(finished, workdir)
    code = (
        'import sys\n'
        'from llmrec_jax import train\n'
        f'train.main({[*SHORT, f"--gin.WORKDIR={workdir}", "--gin.trainer.Trainer.log_every=2"]!r})\n'
        'assert "tensorflow" not in sys.modules\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
    assert (workdir / 'superseded').is_dir()
    assert len((workdir / 'metrics.jsonl').read_text().splitlines()) == 3


@pytest.mark.smoke
def test_the_recipes_own_task_is_written_as_the_stage_wrote_it(finished, tmp_path):
    output = tmp_path / 'examples'
    flags = ('--split=test', f'--output={output}', '--keep', 'user', 'target_item', '--num_shards=3')
    materialise.main([*SHORT, f'--gin.WORKDIR={finished}', *flags])
    written, staged = ColumnStore.open(output), ColumnStore.open(finished / 'tasks' / 'test')
    assert written.fingerprint == staged.fingerprint
    assert written.manifest['provenance'] == staged.manifest['provenance']


@pytest.mark.smoke
def test_inference_answers_in_order_with_titles(finished, tmp_path):
    items = [json.loads(line) for line in (finished / 'catalogue.jsonl').read_text().splitlines()]
    ids = [item['item_id'] for item in items]
    histories = [{'user_id': f'u{n}', 'history': ids[n : n + 1 + n % 7]} for n in range(5)]
    source, answer = tmp_path / 'histories.jsonl', tmp_path / 'answers.jsonl'
    source.write_text('\n'.join(map(json.dumps, histories)) + '\n')
    flags = [*SHORT, f'--gin.WORKDIR={finished}', f'--input={source}', f'--output={answer}', '--k=4']
    infer.main([*flags, '--seen_items=removed'])
    answers = [json.loads(line) for line in answer.read_text().splitlines()]
    assert [one['user_id'] for one in answers] == [one['user_id'] for one in histories]
    titles = {item['item_id']: item['title'] for item in items}
    for asked, answered in zip(histories, answers, strict=True):
        listed = [item['item_id'] for item in answered['items']]
        assert len(listed) == 4
        assert not set(listed) & set(asked['history'])
        assert all(titles[item['item_id']] == item['title'] for item in answered['items'])
        scores = [item['score'] for item in answered['items']]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('{"user_id": "u", "history": ["nowhere"]}', "line 1: item 'nowhere' is not in the catalogue of 96"),
        ('{"user_id": "u", "history": []}', 'line 1: the history is empty'),
        ('{"user_id": "u"', 'line 1: not JSON'),
        ('[]', 'line 1: a list, not an object'),
    ],
)
@pytest.mark.smoke
def test_inference_names_the_line_that_is_wrong(finished, tmp_path, capsys, line, message):
    source, answer = tmp_path / 'histories.jsonl', tmp_path / 'answers.jsonl'
    source.write_text(line + '\n')
    answer.write_text('what was there')
    with pytest.raises(SystemExit):
        infer.main([*SHORT, f'--gin.WORKDIR={finished}', f'--input={source}', f'--output={answer}'])
    assert message in capsys.readouterr().err
    assert answer.read_text() == 'what was there'


@pytest.mark.smoke
def test_inference_answers_the_right_lines_and_keeps_the_wrong_ones_apart(finished, tmp_path):
    item = json.loads((finished / 'catalogue.jsonl').read_text(encoding='utf-8').splitlines()[0])['item_id']
    lines = [{'user_id': 'é', 'history': [item]}, {'user_id': 7, 'history': [item]}, {'history': [item]}]
    source, answer = tmp_path / 'histories.jsonl', tmp_path / 'answers.jsonl'
    content = codecs.BOM_UTF8 + '\n\n'.join(map(json.dumps, lines)).encode()
    source.write_bytes(gzip.compress(content))
    flags = [*SHORT, f'--gin.WORKDIR={finished}', f'--input={source}', f'--output={answer}']
    infer.main([*flags, '--errors=skip'])
    answers = [json.loads(line) for line in answer.read_text(encoding='utf-8').splitlines()]
    assert [one['user_id'] for one in answers] == ['é', '']
    (wrong,) = map(json.loads, (tmp_path / 'answers.jsonl.errors.jsonl').read_text().splitlines())
    assert (wrong['line'], json.loads(wrong['text'])) == (3, lines[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'answers.jsonl',
        'answers.jsonl.errors.jsonl',
        'histories.jsonl',
    ]


@pytest.mark.slow
def test_a_named_checkpoint_answers_wherever_it_was_trained(finished, tmp_path, capsys):
    workdir = tmp_path / 'elsewhere'
    shutil.copytree(finished, workdir)
    best = json.loads((finished / 'stages' / 'train.json').read_text())['facts']['best_checkpoint']
    checkpoint = write_t5x(tmp_path / 'checkpoint_3', load_params(finished / best))
    for trained in ('checkpoints', 'stages/train.json', 'stages/evaluate.json', 'validation.jsonl'):
        path = workdir / trained
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    flags = [*SHORT, f'--gin.WORKDIR={workdir}', f'--checkpoint={checkpoint}']
    evaluate.main(flags)
    first = json.loads((finished / 'first_results.json').read_text())['test']['tiger']
    timed = ('seconds', 'users_per_second')
    again = results(workdir)['test']['tiger']
    assert again | dict.fromkeys(timed) == first | dict.fromkeys(timed)
    assert results(workdir)['decoding']['checkpoint'] == str(checkpoint)

    source = tmp_path / 'histories.jsonl'
    item = json.loads((finished / 'catalogue.jsonl').read_text().splitlines()[0])['item_id']
    source.write_text(json.dumps({'user_id': 'u', 'history': [item]}) + '\n')
    answers = []
    for folder, given in ((workdir, flags), (finished, [*SHORT, f'--gin.WORKDIR={finished}'])):
        answers.append(tmp_path / f'{folder.name}.jsonl')
        infer.main([*given, f'--input={source}', f'--output={answers[-1]}'])
    assert answers[0].read_text() == answers[1].read_text()

    with pytest.raises(SystemExit):
        infer.main([*flags, f'--input={source}', '--gin.config.T5Config.emb_dim=32'])
    assert 'was written by another model or optimizer: target/decoder/' in capsys.readouterr().err


@pytest.mark.smoke
def test_quantizers_are_compared_in_one_table(finished):
    semantic_ids([*SHORT, f'--gin.WORKDIR={finished}', '--compare'])
    rows = json.loads((finished / 'semantic_ids' / 'comparison.json').read_text())
    assert [row['quantizer'] for row in rows] == ['rq_vae', 'residual_kmeans', 'lsh', 'random']


@pytest.mark.parametrize(
    ('flag', 'message'),
    [
        ('--stages=corpus,flors', "no stage 'flors'; the stages are corpus, floors"),
        ('--gin.BEAM_SIZE=5', 'beam_size=5 is below Ranking.list_length=10'),
        ('--gin.CODEBOOK_SIZES=(8, 16, 16, 16)', 'TokenLayout.codebook_sizes is (8, 16, 16, 16)'),
        ('--gin.SEEN_ITEMS=hidden', "seen_items='hidden'"),
        ('--gin.WORKDRI=x', 'did you mean WORKDIR'),
    ],
)
def test_a_wrong_recipe_ends_with_one_message(tmp_path, capsys, flag, message):
    with pytest.raises(SystemExit):
        run.main([*SHORT, f'--gin.WORKDIR={tmp_path}', '--stages=corpus,item_vectors,semantic_ids', flag])
    assert message in capsys.readouterr().err


def test_a_checkpoint_that_cannot_be_taken_is_found_out_before_any_work(tmp_path, capsys):
    other = write_t5x(
        tmp_path / 'checkpoint_1', {'token_embedder': {'embedding': np.ones((2, 2), np.float32)}}
    )
    flags = [*SHORT, f'--gin.WORKDIR={tmp_path / "run"}']
    named = f'--gin.trainer.Trainer.initial_checkpoint={other}'
    for launch in (
        lambda: run.main([*flags, named]),
        lambda: evaluate.main([*flags, f'--checkpoint={other}']),
    ):
        with pytest.raises(SystemExit):
            launch()
        assert 'checkpoint_1 was written by another model' in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()

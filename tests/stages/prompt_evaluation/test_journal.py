import pytest

from llmrec_jax.stages.prompt_evaluation.journal import Journal

BATCHES = [[{'row': 1, 'text': 'vier\n'}], [{'row': 2, 'text': 'ünf'}, {'row': 0, 'text': ''}]]


def written(path, owner='mine', batches=BATCHES):
    journal = Journal(path, owner)
    for batch in batches:
        journal.add(batch)
    journal.close()
    return journal


def test_a_run_goes_on_behind_the_batches_that_are_kept(tmp_path):
    path = tmp_path / 'answers.jsonl'
    written(path, batches=BATCHES[:1])
    journal = Journal(path, 'mine')
    assert journal.done == 1
    journal.add(BATCHES[1])
    journal.close()
    assert journal.done == 2
    assert list(journal.answers()) == [answer for batch in BATCHES for answer in batch]


@pytest.mark.parametrize('lost', range(1, 30))
def test_a_batch_that_was_cut_off_is_asked_again(tmp_path, lost):
    path = tmp_path / 'answers.jsonl'
    written(path)
    path.write_bytes(path.read_bytes()[:-lost])
    journal = Journal(path, 'mine')
    assert journal.done == 1
    assert list(journal.answers()) == BATCHES[0]
    journal.add(BATCHES[1])
    journal.close()
    assert list(Journal(path, 'mine').answers()) == [answer for batch in BATCHES for answer in batch]


@pytest.mark.parametrize('content', [b'', b'"mine', b'"another"\n[{"row": 1}]\n'])
def test_what_is_not_the_owners_is_dropped(tmp_path, content):
    path = tmp_path / 'answers.jsonl'
    path.write_bytes(content)
    journal = Journal(path, 'mine')
    assert journal.done == 0 and list(journal.answers()) == []

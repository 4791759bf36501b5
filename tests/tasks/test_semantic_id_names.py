import numpy as np
import pytest

from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.prompts.naming.scheme import ItemNaming
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from tasks.semantic_id_names import SemanticIdNames
from tests.prompts.corpora import corpus_of


def test_names_are_the_tokens_of_the_table_s_codes(tmp_path):
    path = str(tmp_path / 'table.npz')
    CodeTable(np.asarray([[0, 1], [1, 0], [1, 1]]), (2, 3)).save(path)
    corpus = corpus_of([[0, 1, 2]], ['a', 'b', 'c'])
    scheme = SemanticIdNames(path)
    names = scheme.item_names(corpus, leave_last_out(corpus).train)
    assert names == ['<0_0><1_1>', '<0_1><1_0>', '<0_1><1_1>']
    tokens = TokenLayout((2, 3)).token_texts()
    assert all(f'{part}>' in tokens for name in names for part in name.split('>')[:-1])
    assert isinstance(scheme, ItemNaming)


def test_a_table_that_is_not_there_or_of_another_catalogue_is_refused(tmp_path):
    corpus = corpus_of([[0, 1]], ['a', 'b'])
    train = leave_last_out(corpus).train
    with pytest.raises(FileNotFoundError):
        SemanticIdNames(str(tmp_path / 'none.npz')).item_names(corpus, train)
    path = str(tmp_path / 'table.npz')
    CodeTable(np.asarray([[0, 1], [1, 0], [1, 1]]), (2, 3)).save(path)
    with pytest.raises(ValueError, match='3 rows of codes for 2 items'):
        SemanticIdNames(path).item_names(corpus, train)

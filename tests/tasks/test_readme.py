"""The data page's own code, run as it stands."""

import json
import pathlib
import re

import numpy as np
import seqio

from llmrec_jax.semantic_ids.code_table import CodeTable

PAGE = pathlib.Path(__file__).parents[2] / 'docs' / 'data.md'


def test_a_task_over_ones_own_corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shop = tmp_path / 'data' / 'my_shop'
    shop.mkdir(parents=True)
    (shop / 'sequential.txt').write_text('1 1 2 3 4\n2 2 3 4 1\n')
    items = [
        {'id': n, 'asin': f'A{n}', 'title': f'Thing {n}', 'brand': None, 'categories': [['All']]}
        for n in range(1, 5)
    ]
    (shop / 'items.jsonl').write_text('\n'.join(map(json.dumps, items)))
    codes = np.stack([np.arange(4)] * 4, axis=1).astype(np.int32)
    CodeTable(codes, (256,) * 4, {}).save(tmp_path / 'runs' / 'my_shop' / 'code_table.npz')
    (code,) = re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.S)
    names: dict = {}
    exec(code, names)
    assert re.fullmatch('tiger_sequence_files_my_shop_[0-9a-f]{8}', names['name'])
    examples = seqio.get_mixture_or_task(names['name']).get_dataset(split='train', shuffle=False)
    # Two users of four events: the last two are held out, so each trains on one transition.
    assert len(list(examples.as_numpy_iterator())) == 2

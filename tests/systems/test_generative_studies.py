"""Unseen items and diversity, from the overlays to the results, for both generative retrievers."""

import json

import pytest

from llmrec_jax import run
from llmrec_jax.corpora.cold_items import ColdItems
from llmrec_jax.stages.diversity import Diversity
from llmrec_jax.stages.unseen_items import UnseenItems
from tests.systems.configured import configured
from tests.systems.short_recipe import SHORT

OVERLAYS = ['--gin_file=gin_configs/overlays/cold_items.gin', '--gin_file=gin_configs/overlays/diversity.gin']


@pytest.mark.parametrize('system', ['tiger', 'generative_sequential'])
def test_overlays_add_their_stages_after_all_others(system, tmp_path):
    flags = [f'--gin_file=gin_configs/{system}/smoke.gin', f'--gin.WORKDIR={tmp_path}']
    plain = [stage.name for stage in configured(flags).stages()]
    studied = configured([*flags, *OVERLAYS, '--gin.COLD_SHARE=0.2'])
    assert [stage.name for stage in studied.stages()] == [*plain, 'unseen_items', 'diversity']
    assert studied.task.split == studied.stages()[0].split == ColdItems(share=0.2)
    assert 'diversity' not in plain


@pytest.mark.parametrize(
    'make',
    [
        lambda: UnseenItems(ks=(5, 60)),
        lambda: UnseenItems(quotas=(0.1, 1.5)),
        lambda: Diversity(temperatures=(1.0, 0.5)),
        lambda: Diversity(temperatures=(0.0, 1.0)),
    ],
)
def test_settings_that_ask_for_nothing_possible_are_refused(make):
    with pytest.raises(ValueError, match=r'UnseenItems|Diversity'):
        make()


@pytest.mark.slow
def test_tiger_is_asked_for_what_it_has_not_seen(tmp_path):
    run.main([*SHORT, *OVERLAYS, f'--gin.WORKDIR={tmp_path}'])
    found = json.loads((tmp_path / 'results.json').read_text())
    unseen = found['generative']['unseen_items']
    assert 0 < unseen['unseen_cases'] < unseen['cases'] == 200
    assert {point['system'] for point in unseen['points']} == {
        'tiger_prefix_1', 'tiger_prefix_2', 'tiger_prefix_3', 'semantic_knn', 'semantic_knn_mean'
    }  # fmt: skip
    at_zero = [point['unseen_recall'] for point in unseen['points'] if point['quota'] == 0]
    assert set(at_zero) == {0}
    # Of the unseen items more are among more, and every quota leaves others their places.
    of_prefix = [
        point for point in unseen['points'] if (point['system'], point['k']) == ('tiger_prefix_1', 20)
    ]
    recalls = [point['unseen_recall'] for point in of_prefix]
    assert recalls == sorted(recalls) and recalls[-1] > 0
    asked = found['cold_start']['tiger']['items']['0']['examples']
    assert asked == unseen['unseen_cases']
    points = found['generative']['diversity']['points']
    assert [(point['temperature'], point['k']) for point in points] == [
        (temperature, k) for temperature in (1.0, 1.5, 2.0) for k in (10, 20, 50)
    ]
    page = (tmp_path / 'report.html').read_text()
    assert 'Items that training has not seen' in page and 'Entropy@50' in page

"""Each ablation of TIGER changes what it is named for, and nothing that comes before."""

import json

import pytest

from llmrec_jax import run
from llmrec_jax.runs.execution import fingerprints
from llmrec_jax.semantic_ids.residual_kmeans import ResidualKMeans
from llmrec_jax.semantic_ids.rq_vae.quantizer import RqVae
from llmrec_jax.semantic_ids.untrained_quantizers import Lsh, RandomCodes
from tests.recipes import CONFIGS, load, sequence_files
from tests.systems.short_recipe import SHORT

# What an overlay sets in a system, and the first stage that it changes.
ABLATIONS = {
    'random_ids': (lambda one: isinstance(one.quantizer, RandomCodes), 'semantic_ids'),
    'lsh': (lambda one: isinstance(one.quantizer, Lsh), 'semantic_ids'),
    'residual_kmeans': (lambda one: isinstance(one.quantizer, ResidualKMeans), 'semantic_ids'),
    'rq_vae_nearest': (
        lambda one: isinstance(one.quantizer, RqVae) and not one.quantizer.separate_collisions,
        'semantic_ids',
    ),
    'layers_3': (lambda one: one.network.module.config.num_decoder_layers == 3, 'train'),
    'layers_5': (lambda one: one.network.module.config.num_encoder_layers == 5, 'train'),
    'no_user_token': (lambda one: one.layout.user_tokens == 0, 'semantic_ids'),
}


def test_every_overlay_is_here():
    overlays = {path.stem for path in (CONFIGS / 'overlays' / 'tiger').glob('*.gin')}
    assert overlays == ABLATIONS.keys()


@pytest.mark.parametrize('name', ABLATIONS)
def test_an_ablation_fits_the_papers_recipe_and_changes_what_comes_after_it(name, tmp_path):
    folder = f"CORPUS_DIR='{sequence_files(tmp_path)}'"
    recipe, overlay = 'gin_configs/tiger/amazon_beauty.gin', f'gin_configs/overlays/tiger/{name}.gin'
    plain, ablated = load(recipe, folder), load(recipe, folder, after=(overlay,))
    holds, first_changed = ABLATIONS[name]
    assert holds(ablated) and not holds(plain)
    assert ablated.layout.codebook_sizes == plain.layout.codebook_sizes
    assert dict(ablated.trainer.feature_lengths) == ablated.task.feature_lengths
    before, after = fingerprints(plain.stages()), fingerprints(ablated.stages())
    changed = [stage for stage in before if before[stage] != after[stage]]
    assert changed[0] == first_changed
    assert {'train', 'evaluate'} <= set(changed)


@pytest.mark.slow
def test_codes_that_know_nothing_run_as_those_of_the_rq_vae_do(tmp_path):
    flags = [*SHORT, f'--gin.WORKDIR={tmp_path}']
    run.main([*flags, '--gin_file=gin_configs/overlays/tiger/random_ids.gin'])
    found = json.loads((tmp_path / 'results.json').read_text())
    assert found['decoding']['invalid_rate']['constrained'] == 0
    diagnostics = found['semantic_ids']['diagnostics']
    # Of random codes items that share the first are no more alike than any two.
    assert diagnostics['prefix_similarity'][0] == pytest.approx(diagnostics['random_similarity'], abs=0.05)

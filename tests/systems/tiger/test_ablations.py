"""Each ablation of TIGER changes what it is named for, and nothing that comes before."""

import dataclasses
import json

import numpy as np
import pytest

from llmrec_jax import run
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.runs import command_line
from llmrec_jax.runs.execution import fingerprints
from llmrec_jax.semantic_ids.code_table import build_code_table
from llmrec_jax.semantic_ids.residual_kmeans import ResidualKMeans
from llmrec_jax.semantic_ids.rq_vae.quantizer import RqVae
from llmrec_jax.semantic_ids.untrained_quantizers import Lsh, RandomCodes
from llmrec_jax.stages.corpus import CATALOGUE
from llmrec_jax.stages.item_vectors import ITEM_VECTORS
from llmrec_jax.stages.semantic_ids import CODE_TABLE
from llmrec_jax.systems.tiger.shared_codebook import OTHER_VECTORS, BesideOthers
from tests.recipes import CONFIGS, load, sequence_files
from tests.semantic_ids.planted import gaussian_tree
from tests.systems.configured import configured
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
    assert overlays == {*ABLATIONS, 'shared_codebook'}


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


def test_one_codebook_is_learned_from_three_categories():
    recipe, overlay = 'gin_configs/tiger/amazon_reviews.gin', 'gin_configs/overlays/tiger/shared_codebook.gin'
    plain, shared = load(recipe), load(recipe, after=(overlay,))
    assert [source.category for source in (shared.corpus, *shared.codebook_corpora)] == [
        'beauty',
        'sports',
        'toys',
    ]
    assert [stage.name for stage in plain.stages()] == [stage.name for stage in shared.stages()]


def test_with_further_corpora_all_is_done_again_that_knows_of_vectors():
    plain = load('gin_configs/tiger/smoke.gin')
    shared = dataclasses.replace(plain, codebook_corpora=(SimulatedShop(size='tiny', seed=5),))
    before, after = fingerprints(plain.stages()), fingerprints(shared.stages())
    unchanged = {stage for stage in before if before[stage] == after[stage]}
    assert unchanged == {'corpus', 'floors', 'ceiling'}


def test_others_change_the_codebooks_and_get_no_codes():
    vectors = gaussian_tree(60, seed=1)[0]
    own, others = vectors[:40], vectors[40:]
    quantizer = ResidualKMeans((16, 4))
    found = BesideOthers(quantizer, 'hash', others).quantize(own, 0)
    together = quantizer.quantize(vectors, 0)
    np.testing.assert_array_equal(found.codes, together.codes[:40])
    np.testing.assert_array_equal(found.reconstruction, together.reconstruction[:40])
    assert (found.codes != quantizer.quantize(own, 0).codes).any()
    assert build_code_table(own, BesideOthers(quantizer, 'hash', others), seed=0)[0].provenance[
        'quantizer'
    ] == {
        'class': 'BesideOthers',
        'quantizer': dataclasses.asdict(quantizer),
        'sha256': 'hash',
    }


def test_catalogues_are_embedded_in_one_call_and_kept_apart(tmp_path):
    flags = ['--gin_file=gin_configs/tiger/smoke.gin', f'--gin.WORKDIR={tmp_path}']
    system = configured(flags)
    others = (SimulatedShop(size='tiny', seed=5),)
    system = dataclasses.replace(
        system, codebook_corpora=others, quantizer=ResidualKMeans(system.layout.codebook_sizes[:-1])
    )
    opened, _ = command_line.run_stages(system, ['corpus', 'item_vectors', 'semantic_ids'])
    items = len(opened[CATALOGUE])
    own, beside = opened[ITEM_VECTORS], opened[OTHER_VECTORS]
    assert len(own) == len(opened[CODE_TABLE].codes) == items
    assert len(beside) > 0 and own.shape[1] == beside.shape[1]
    assert not np.isin(own[:, 0], beside[:, 0]).all()


@pytest.mark.slow
def test_codes_that_know_nothing_run_as_those_of_the_rq_vae_do(tmp_path):
    flags = [*SHORT, f'--gin.WORKDIR={tmp_path}']
    run.main([*flags, '--gin_file=gin_configs/overlays/tiger/random_ids.gin'])
    found = json.loads((tmp_path / 'results.json').read_text())
    assert found['decoding']['invalid_rate']['constrained'] == 0
    diagnostics = found['semantic_ids']['diagnostics']
    # Of random codes items that share the first are no more alike than any two.
    assert diagnostics['prefix_similarity'][0] == pytest.approx(diagnostics['random_similarity'], abs=0.05)

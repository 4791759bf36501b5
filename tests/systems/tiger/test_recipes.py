"""TIGER's recipes mean what their names say."""

import jax
import pytest

from tests.recipes import CONFIGS, load, load_with_stand_ins, sequence_files

RECIPES = sorted(path.name for path in (CONFIGS / 'tiger').glob('*.gin') if path.name != 'base.gin')


@pytest.mark.parametrize('name', RECIPES)
def test_lengths_layout_and_quantizer_fit_together(name, tmp_path):
    system = load_with_stand_ins(f'gin_configs/tiger/{name}', tmp_path)
    lengths = dict(system.trainer.feature_lengths)
    assert lengths == system.task.feature_lengths
    assert all(bucket < lengths['inputs'] for bucket in system.trainer.length_buckets)
    assert system.layout.codebook_sizes[:-1] == tuple(system.quantizer.codebook_sizes)


@pytest.mark.parametrize('name', ['amazon_beauty.gin', 'amazon_beauty_cpu.gin'])
def test_without_a_collision_level_an_item_has_a_token_fewer(name, tmp_path):
    directory = f'CORPUS_DIR={sequence_files(tmp_path)}'
    overlay = ('gin_configs/overlays/tiger_three_levels.gin',)
    system = load(f'gin_configs/tiger/{name}', directory, after=overlay)
    lengths = dict(system.trainer.feature_lengths)
    assert lengths == system.task.feature_lengths == {'inputs': 61, 'targets': 3}
    assert all(bucket < lengths['inputs'] for bucket in system.trainer.length_buckets)
    assert system.layout.codebook_sizes == tuple(system.quantizer.codebook_sizes)


def test_the_papers_rule_is_one_file_away():
    overlay = ('gin_configs/overlays/tiger/rq_vae_nearest.gin',)
    assert load('gin_configs/tiger/quickstart.gin').quantizer.separate_collisions
    assert not load('gin_configs/tiger/quickstart.gin', after=overlay).quantizer.separate_collisions


@pytest.mark.parametrize(('name', 'millions'), [('amazon_beauty', 4.84), ('amazon_beauty_384', 14.5)])
def test_the_two_widths_of_the_paper_have_their_sizes(name, millions, tmp_path):
    network = load_with_stand_ins(f'gin_configs/tiger/{name}.gin', tmp_path).network
    shapes = {'encoder_input_tokens': (1, 81), 'decoder_input_tokens': (1, 4)}
    variables = jax.eval_shape(lambda: network.get_initial_variables(jax.random.key(0), shapes))
    count = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
    # The papers' counts have one table for embedding and head; ours is untied, and rounded up to 128 rows.
    tied = count - network.module.config.vocab_size * network.module.config.emb_dim
    assert tied / 1e6 == pytest.approx(millions, rel=0.01)

"""Every recipe in the repository can be configured, and means what its name says."""

import argparse
import json

import jax
import pytest

from llmrec_jax.launch.recipe import Recipe
from llmrec_jax.runs import gin_config

CONFIGS = gin_config.REPOSITORY / 'gin_configs'
PARTS = ('base.gin',)
RECIPES = sorted(
    str(path.relative_to(CONFIGS)) for path in (CONFIGS / 'tiger').glob('*.gin') if path.name not in PARTS
)


@pytest.fixture
def shop(tmp_path):
    """A directory of sequence files, for recipes that want one."""
    (tmp_path / 'sequential.txt').write_text('1 1 2 3\n2 2 3 1\n')
    items = [
        {'id': n, 'asin': f'A{n}', 'title': f'Thing {n}', 'brand': None, 'categories': [['All']]}
        for n in (1, 2, 3)
    ]
    (tmp_path / 'items.jsonl').write_text('\n'.join(map(json.dumps, items)))
    return tmp_path


def load(name: str, *bindings: str) -> Recipe:
    parser = argparse.ArgumentParser()
    gin_config.add_arguments(parser)
    flags = [
        f'--gin_file=gin_configs/{name}',
        '--gin.WORKDIR=runs/x',
        *(f'--gin.{text}' for text in bindings),
    ]
    _, arguments = gin_config.parse_arguments(parser, flags)
    return gin_config.instantiate(Recipe, gin_config.load(arguments))


@pytest.mark.parametrize('name', RECIPES)
def test_every_recipe_is_whole(name, shop):
    bindings = [f'CORPUS_DIR={shop}'] if 'CORPUS_DIR' in (CONFIGS / name).read_text() else []
    if name in ('tiger/amazon_beauty_384.gin', 'tiger/amazon_beauty_cpu.gin'):
        bindings = [f'CORPUS_DIR={shop}']
    recipe = load(name, *bindings)
    lengths = dict(recipe.trainer.feature_lengths)
    assert lengths == recipe.task.feature_lengths
    assert all(bucket < lengths['inputs'] for bucket in recipe.trainer.length_buckets)
    assert recipe.layout.codebook_sizes[:-1] == tuple(recipe.quantizer.codebook_sizes)
    assert recipe.trainer.optimizer.build()


@pytest.mark.parametrize(('name', 'millions'), [('amazon_beauty', 4.84), ('amazon_beauty_384', 14.5)])
def test_the_two_widths_of_the_paper_have_their_sizes(name, millions, shop):
    recipe = load(f'tiger/{name}.gin', f'CORPUS_DIR={shop}')
    shapes = {'encoder_input_tokens': (1, 81), 'decoder_input_tokens': (1, 4)}
    variables = jax.eval_shape(lambda: recipe.model.get_initial_variables(jax.random.key(0), shapes))
    count = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
    # The papers' counts have one table for embedding and head; ours is untied, and rounded up to 128 rows.
    tied = count - recipe.model.module.config.vocab_size * recipe.model.module.config.emb_dim
    assert tied / 1e6 == pytest.approx(millions, rel=0.01)

"""Every recipe of transfer can be configured, and what does not fit is told at once."""

import dataclasses

import gin
import jax
import numpy as np
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.runs import gin_config
from llmrec_jax.systems.transfer.system import TransferLearning

CONFIGS = gin_config.REPOSITORY / 'gin_configs'
RECIPES = sorted(
    f'{system}/{path.name}'
    for system in ('unisrec', 'vq_rec', 'zesrec')
    for path in (CONFIGS / system).glob('*.gin')
    if path.name != 'base.gin'
)
OVERLAYS = 'gin_configs/overlays/transfer'
# Recipes alone, and with each overlay that makes an arm of an experiment of one.
ARMS = [
    *((name, None) for name in RECIPES),
    ('unisrec/games_to_beauty.gin', 'unisrec_from_scratch'),
    ('unisrec/games_to_beauty.gin', 'unisrec_transductive'),
    ('vq_rec/games_to_beauty.gin', 'vq_rec_from_scratch'),
]


def parsed(name, *bindings, more=()):
    directories = [] if 'smoke' in name else ['GAMES_DIR="games"', 'BEAUTY_DIR="beauty"']
    arguments = gin_config.GinArguments(
        (f'gin_configs/{name}', *more),
        ('WORKDIR="runs/x"', *directories, *bindings),
        ('.', str(gin_config.REPOSITORY)),
    )
    return gin_config.load(arguments)


def load(name, *bindings, more=()):
    return gin_config.instantiate(TransferLearning, parsed(name, *bindings, more=more))


@pytest.mark.parametrize(('name', 'arm'), ARMS)
def test_every_recipe_is_whole(name, arm):
    recipe = load(name, more=(f'{OVERLAYS}/{arm}.gin',) if arm else ())
    assert recipe.trainer.feature_lengths == recipe.task.feature_lengths
    frozen = 'sequence_encoder' in recipe.trainer.optimizer.frozen
    assert frozen == (recipe.pretrained and not name.startswith('zesrec'))
    assert recipe.pretrained == (arm is None or 'scratch' not in arm)
    assert (recipe.renamer is not None) == (name.startswith('vq_rec') and recipe.pretrained)
    assert recipe.pretraining.sequence_encoder == recipe.network.sequence_encoder
    for trainer in (recipe.trainer, recipe.pretrainer):
        assert trainer.best_metric.name == 'ndcg@10'
        assert trainer.optimizer.build()


def trained(trainer, network):
    """The parameters that a trainer of the recipe moves, by the first two parts of their paths."""
    model = network.for_catalogue(CatalogueFacts(5, vectors=np.ones((5, 48), np.float32)))
    params = jax.eval_shape(lambda: model.get_initial_variables(jax.random.key(0), {})['params'])
    params = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), params)
    optimizer = trainer.optimizer.build()
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    leaves = jax.tree_util.tree_leaves_with_path(updates)
    return {'/'.join(key.key for key in path[:2]) for path, leaf in leaves if np.any(leaf)}


TRANSFORMER = {f'sequence_encoder/{part}' for part in ('positions', 'layers_0', 'layers_1', 'final_norm')}
INPUT_NORM = {'sequence_encoder/input_norm'}


@pytest.mark.parametrize(
    ('system', 'items'), [('unisrec', {'item_encoder/adaptor'}), ('vq_rec', {'item_encoder/embedding'})]
)
def test_fine_tuning_moves_what_the_released_code_moves(system, items):
    recipe = load(f'{system}/smoke.gin')
    assert trained(recipe.trainer, recipe.network) == items | INPUT_NORM
    rival = load(f'{system}/smoke.gin', more=(f'{OVERLAYS}/{system}_from_scratch.gin',))
    assert trained(rival.trainer, rival.network) == items | INPUT_NORM | TRANSFORMER


def test_codes_are_renamed_and_nothing_else_is_learned_meanwhile():
    recipe = load('vq_rec/smoke.gin')
    renaming = dataclasses.replace(
        recipe.network, item_encoder=recipe.network.item_encoder.clone(renaming=True)
    )
    assert trained(recipe.renamer, renaming) == {'item_encoder/renaming'}


def test_semi_synthetic_items_are_negatives_of_their_own_prefix_unless_one_wishes_otherwise():
    assert not load('vq_rec/smoke.gin').pretraining.contrasts.shared_fakes
    shared = load('vq_rec/smoke.gin', 'contrastive.Contrasts.shared_fakes=True')
    assert shared.pretraining.contrasts.shared_fakes


def test_the_arms_are_one_binding_away():
    bindings = ('TRAINING_USERS=0.1', 'SHUFFLE="text"')
    recipe = load('vq_rec/games_to_beauty.gin', *bindings)
    assert (recipe.training_users, recipe.shuffle) == (0.1, 'text')
    assert [source.directory for source in (*recipe.sources, recipe.corpus)] == ['games', 'beauty']


def test_another_file_has_texts_compared_by_meaning():
    # Only parsed: the encoder is there where its weights are.
    parsed('vq_rec/games_to_beauty.gin', more=('gin_configs/overlays/minilm.gin',))
    assert 'TEXT_ENCODER = @text_encoder.EmbeddingCache()' in gin.config_str()


@pytest.mark.parametrize(('system', 'dim'), [('unisrec', 128), ('vq_rec', 64), ('zesrec', 64)])
def test_a_recipe_is_made_small_by_another_file(system, dim):
    recipe = load(f'{system}/games_to_beauty.gin', more=(f'{OVERLAYS}/{system}_two_cores.gin',))
    assert (recipe.network.item_encoder.dim, recipe.task.max_items) == (dim, 20)
    assert (recipe.training_users, recipe.centred) == (0.1, True)


@pytest.mark.parametrize('system', ['unisrec', 'vq_rec'])
def test_the_small_recipe_has_its_rival(system):
    small, scratch = (f'{OVERLAYS}/{system}_{name}.gin' for name in ('two_cores', 'from_scratch'))
    pretrained, rival = (
        load(f'{system}/games_to_beauty.gin', more=more) for more in ((small,), (small, scratch))
    )
    assert (rival.pretrained, rival.trainer.steps) == (False, pretrained.trainer.steps)
    assert 'sequence_encoder' not in rival.trainer.optimizer.frozen
    assert rival.network.item_encoder == pretrained.network.item_encoder
    assert rival.network.sequence_encoder == pretrained.network.sequence_encoder
    assert rival.pretraining.sequence_encoder == pretrained.pretraining.sequence_encoder


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'sources': ()}, 'names no domain to learn from'),
        ({'shuffle': 'items'}, "shuffle='items' must be one of nothing, order, histories, text"),
        ({'training_users': 0.0}, r'training_users=0.0 must lie in \(0, 1\]'),
        ({'quantizer': None}, 'goes with a CodeItemEncoder in both'),
        ({'pretrained': False}, 'renamer renames learned codes'),
        ({'whitening': True}, 'is of the adaptor of a TextItemEncoder'),
    ],
)
def test_what_does_not_fit_is_told(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(load('vq_rec/smoke.gin'), **changes)


def test_a_recipe_starts_where_it_says_itself():
    recipe = load('vq_rec/smoke.gin')
    started = dataclasses.replace(recipe.pretrainer, initial_checkpoint='elsewhere/checkpoint_3')
    with pytest.raises(ValueError, match='pretrainer has an initial_checkpoint, but the recipe makes one'):
        dataclasses.replace(recipe, pretrainer=started)
    items = dataclasses.replace(recipe.network.item_encoder, codewords=17)
    with pytest.raises(ValueError, match=r"must be the quantizer's parts and codewords, \(4, 16\)"):
        dataclasses.replace(recipe, network=dataclasses.replace(recipe.network, item_encoder=items))

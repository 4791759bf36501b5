"""Profiles through the launcher, from gin files to a file that other recipes read."""

import argparse
import json

import pytest

from llmrec_jax import run
from llmrec_jax.language_models.chat_server import ChatServer
from llmrec_jax.language_models.stored_responses import OfflineModel
from llmrec_jax.launch import gin_config
from llmrec_jax.launch.local_t5 import LocalT5
from llmrec_jax.launch.profiles.profile_recipe import ProfileRecipe
from llmrec_jax.launch.profiles.profile_writer import CountedProfiles
from llmrec_jax.prompts.palr.profiles import load_profiles
from tests.language_models.local_chat_server import chat_server

KEY = 'sk-a-very-secret-key'
TITLES = ['Red "Rose" Lipstick', 'Rose Soap', 'Sea Soap', 'Sea Salt']
CATEGORIES = [['Beauty', 'Lips'], ['Beauty', 'Bath'], ['Beauty', 'Bath'], ['Beauty', 'Bath', 'Salts']]


def praise(prompt):
    """Two keywords for the first item."""
    name = prompt.split('Items:\n- "')[1].split('"')[0]
    return f'KEYWORD_1: soap HISTORY_ITEMS_1: "{name}" KEYWORD_2: sea HISTORY_ITEMS_2: "Sea Monkeys"'


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / 'shop'
    folder.mkdir()
    (folder / 'sequential.txt').write_text('1 1 2 3 4\n2 3 2 4 1\n3 2 4 1\n')
    items = [
        {'id': n, 'asin': f'A{n}', 'title': title, 'brand': None, 'categories': [categories]}
        for n, (title, categories) in enumerate(zip(TITLES, CATEGORIES), 1)
    ]
    (folder / 'items.jsonl').write_text('\n'.join(map(json.dumps, items)))
    return folder


@pytest.mark.slow
def test_a_run_writes_profiles_once_and_keeps_no_key(tmp_path, shop, monkeypatch, caplog):
    monkeypatch.setenv('TEST_KEY', KEY)
    caplog.set_level('DEBUG')
    workdir = tmp_path / 'run'

    def start(*flags):
        run.main(
            [
                '--gin_file=gin_configs/profiles/amazon_beauty.gin',
                '--gin_file=gin_configs/language_models/chat_server.gin',
                f'--gin.CORPUS_DIR={shop}',
                f'--gin.WORKDIR={workdir}',
                f'--gin.BASE_URL={server.url}',
                '--gin.SERVED_MODEL=writer',
                '--gin.API_KEY_VARIABLE=TEST_KEY',
                *flags,
            ]
        )
        return load_profiles(workdir / 'profiles.jsonl')

    with chat_server(praise) as server:
        profiles = start()
        # What is held out, the last two items of each user, was not shown.
        prompts = [prompt.split('Items:\n')[1] for _, prompt, *_ in server.asked]
        assert sorted(prompts) == [
            '- "Red \'Rose\' Lipstick" [Lips]\n- "Rose Soap" [Bath]',
            '- "Rose Soap" [Bath]',
            '- "Sea Soap" [Bath]\n- "Rose Soap" [Bath]',
        ]
        titles = [
            json.loads(line)['title'] for line in (workdir / 'catalogue.jsonl').read_text().splitlines()
        ]
        cited = [titles[item] for profile in profiles.users.values() for item in profile.keywords['soap']]
        assert sorted(cited) == ['Red "Rose" Lipstick', 'Rose Soap', 'Sea Soap']
        assert start() == profiles and len(server.asked) == 3
        # A change that shows the model the same asks for nothing anew.
        (workdir / 'profiles.jsonl').unlink()
        assert start('--gin.MAX_HISTORY=10') == profiles and len(server.asked) == 3
        start('--gin.KEYWORDS=1')
        assert len(server.asked) == 6
    record = json.loads((workdir / 'stages' / 'profiles.json').read_text())['summary']
    assert record['rejected'] == {'items outside the history': 3}
    assert record['usage']['from_store'] == 0
    written = [path for path in workdir.rglob('*') if path.is_file()]
    assert not any(KEY.encode() in path.read_bytes() for path in written) and KEY not in caplog.text


def load(*flags):
    parser = argparse.ArgumentParser()
    gin_config.add_arguments(parser)
    _, arguments = gin_config.parse_arguments(parser, ['--gin.WORKDIR=runs/x', *flags])
    return gin_config.instantiate(ProfileRecipe, gin_config.load(arguments))


CHAT = ('language_models/chat_server', '--gin.BASE_URL=http://localhost:8000/v1', '--gin.SERVED_MODEL=m')
T5 = ('language_models/local_t5', '--gin_file=gin_configs/models/flan_t5_base.gin')
MODELS = {
    ChatServer: CHAT,
    LocalT5: (*T5, '--gin.T5_CHECKPOINT=flan/checkpoint_0', '--gin.T5_VOCABULARY=flan/spiece.model'),
    OfflineModel: ('language_models/stored', '--gin.STORED_MODEL=m'),
}


@pytest.mark.parametrize('model', MODELS)
def test_a_recipe_takes_any_language_model(model):
    named, *flags = MODELS[model]
    recipe = load(
        '--gin_file=gin_configs/profiles/movielens.gin', f'--gin_file=gin_configs/{named}.gin', *flags
    )
    assert isinstance(recipe.writer.language_model, model)
    assert (recipe.writer.keywords, recipe.writer.sampling.temperature, recipe.max_history) == (2, 0.0, 20)


@pytest.mark.parametrize('corpus', ['simulated_shop', 'movielens', 'amazon_beauty'])
def test_every_recipe_is_whole(corpus, shop):
    flags = [f'--gin_file=gin_configs/profiles/{corpus}.gin']
    flags += [f'--gin.CORPUS_DIR={shop}'] if corpus == 'amazon_beauty' else []
    named, *server = CHAT
    assert (
        load(*flags, f'--gin_file=gin_configs/{named}.gin', *server, '--gin.KEYWORDS=3').writer.keywords == 3
    )
    counted = load(*flags, '--gin_file=gin_configs/profiles/counted.gin', '--gin.KEYWORDS=3')
    assert counted.writer == CountedProfiles(keywords=3)

"""Profiles through the launcher, from gin files to a file that other recipes read."""

import json
import subprocess
import sys
import time

import pytest

from llmrec_jax.inference.local_t5 import LocalT5
from llmrec_jax.language_models.chat_server import ChatServer
from llmrec_jax.language_models.stored_responses import OfflineModel
from llmrec_jax.language_models.usage import Prices
from llmrec_jax.prompts.palr.profiles import load_profiles
from llmrec_jax.runs import gin_config
from llmrec_jax.stages.profile_writers import CountedProfiles
from tests.language_models.local_chat_server import chat_server, prompts_asked
from tests.systems.configured import configured, run_phases

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
        run_phases(
            [
                '--gin_file=gin_configs/profiles/amazon_beauty.gin',
                '--gin_file=gin_configs/overlays/language_models/chat_server.gin',
                f'--gin.CORPUS_DIR={shop}',
                f'--gin.WORKDIR={workdir}',
                f'--gin.BASE_URL={server.url}',
                '--gin.SERVED_MODEL=writer',
                '--gin.API_KEY_VARIABLE=TEST_KEY',
                *flags,
            ],
            ('prepare',),
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
    record = json.loads((workdir / 'stages' / 'profiles.json').read_text())['facts']
    assert record['rejected'] == {'items outside the history': 3}
    assert record['usage']['from_store'] == 0
    written = [path for path in workdir.rglob('*') if path.is_file()]
    assert not any(KEY.encode() in path.read_bytes() for path in written) and KEY not in caplog.text


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was_and_pays_for_nothing_twice(tmp_path):
    workdir = tmp_path / 'run'
    responses = workdir / 'responses.jsonl'
    command = [sys.executable, '-m', 'llmrec_jax.run', '--gin_file=gin_configs/profiles/simulated_shop.gin']
    command += ['--gin_file=gin_configs/overlays/language_models/chat_server.gin', '--gin.SHOP_SIZE=tiny']
    command += [f'--gin.WORKDIR={workdir}', '--gin.SERVED_MODEL=writer', '--gin.MAX_USERS=60']

    def lines():
        return responses.read_bytes().count(b'\n') if responses.exists() else 0

    with chat_server(praise) as server:
        server.seconds = 0.2
        command.append(f'--gin.BASE_URL={server.url}')
        quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
        victim = subprocess.Popen(command, cwd=gin_config.REPOSITORY, **quiet)
        while lines() < 12:
            assert victim.poll() is None, 'the run ended before it could be killed'
            time.sleep(0.02)
        victim.kill()
        victim.wait()
        stored = lines()
        assert stored < 50
        time.sleep(1.0)
        before = len(server.asked)
        server.seconds = 0.0
        subprocess.run(command, cwd=gin_config.REPOSITORY, check=True, **quiet)
        # Eight at most were under way: they had been asked for, and no response of theirs had come.
        assert before - stored <= 8 and len(server.asked) - before == lines() - stored
        assert len(set(prompts_asked(server))) == lines() > 50
    usage = json.loads((workdir / 'stages' / 'profiles.json').read_text())['facts']['usage']
    assert usage['responses'] == 60 and usage['from_store'] >= stored
    assert len(load_profiles(workdir / 'profiles.jsonl').users) == 60


def load(*flags):
    return configured(['--gin.WORKDIR=runs/x', *flags])


CHAT = (
    'overlays/language_models/chat_server',
    '--gin.BASE_URL=http://localhost:8000/v1',
    '--gin.SERVED_MODEL=m',
)
T5 = ('overlays/language_models/local_t5', '--gin_file=gin_configs/models/flan_t5_base.gin')
MODELS = {
    ChatServer: CHAT,
    LocalT5: (*T5, '--gin.T5_CHECKPOINT=flan/checkpoint_0', '--gin.T5_VOCABULARY=flan/spiece.model'),
    OfflineModel: ('overlays/language_models/stored', '--gin.STORED_MODEL=m'),
}


@pytest.mark.parametrize('model', MODELS)
def test_a_recipe_takes_any_language_model(model):
    named, *flags = MODELS[model]
    recipe = load(
        '--gin_file=gin_configs/profiles/movielens.gin', f'--gin_file=gin_configs/{named}.gin', *flags
    )
    assert isinstance(recipe.writer.language_model, model)
    assert (recipe.writer.keywords, recipe.writer.sampling.temperature, recipe.max_history) == (2, 0.0, 20)


def test_prices_and_extra_fields_are_set_on_the_command_line():
    named, *server = CHAT
    recipe = load(
        '--gin_file=gin_configs/profiles/movielens.gin',
        f'--gin_file=gin_configs/{named}.gin',
        *server,
        '--gin_file=gin_configs/overlays/language_models/prices.gin',
        '--gin.INPUT_PRICE=0.15',
        '--gin.OUTPUT_PRICE=0.60',
        "--gin.chat_server.ChatServer.extra_fields={'chat_template_kwargs': {'enable_thinking': False}}",
    )
    assert recipe.writer.prices == Prices(0.15, 0.6)
    assert recipe.writer.language_model.name == "m (chat_template_kwargs={'enable_thinking': False})"


@pytest.mark.parametrize('corpus', ['simulated_shop', 'movielens', 'amazon_beauty'])
def test_every_recipe_is_whole(corpus, shop):
    flags = [f'--gin_file=gin_configs/profiles/{corpus}.gin']
    flags += [f'--gin.CORPUS_DIR={shop}'] if corpus == 'amazon_beauty' else []
    named, *server = CHAT
    assert (
        load(*flags, f'--gin_file=gin_configs/{named}.gin', *server, '--gin.KEYWORDS=3').writer.keywords == 3
    )
    counted = load(*flags, '--gin_file=gin_configs/overlays/profiles_counted.gin', '--gin.KEYWORDS=3')
    assert counted.writer == CountedProfiles(keywords=3)

"""Whole words in a recipe: one more gin file switches them on, the run's own vocabulary tells them."""

import dataclasses

import numpy as np
import pytest

from llmrec_jax.models.whole_words import WholeWords
from llmrec_jax.runs.fingerprint import fingerprint
from llmrec_jax.stages.networks import abstract_parameters
from llmrec_jax.stages.prompt_tasks import vocabulary
from llmrec_jax.stages.task_provenance import vocabulary_facts
from llmrec_jax.systems.fine_tuning.system import open_examples
from llmrec_jax.systems.p5.system import P5System
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from llmrec_jax.training.columns import write_columns
from tests.systems.configured import configured
from tests.text.vocabularies import prompt_texts


@pytest.fixture
def load(tmp_path):
    """`load('OMIT_WHOLE_WORDS_AT_INFERENCE=True')`: P5's smallest recipe with whole words."""

    def load(*bindings: str) -> P5System:
        flags = [
            '--gin_file=gin_configs/p5/smoke.gin',
            '--gin_file=gin_configs/overlays/whole_words.gin',
            f'--gin.WORKDIR={tmp_path / "run"}',
            *(f'--gin.{text}' for text in bindings),
        ]
        return configured(flags)

    return load


def test_the_run_s_own_vocabulary_tells_the_words(load):
    recipe = load()
    assert recipe.network.whole_words == WholeWords()
    assert recipe.network.module.config.whole_word_embeddings == 512
    assert recipe.trainer.fresh_parameters == ('encoder/whole_word_embedding',)
    run = recipe.run
    words = TrainedVocabulary(512, extra_ids=0).make_at(
        run.path(vocabulary(recipe.tasks.vocabulary)), prompt_texts()
    )
    shapes = abstract_parameters(recipe.model(run), recipe.trainer)
    assert shapes['encoder']['whole_word_embedding']['embedding'].shape[0] == 512
    tokens = np.asarray([words.encode('user_23 has bought item_7391')])
    numbers = recipe.model(run).convert_features({'inputs': tokens})['encoder_whole_word_ids']
    assert numbers[0, [0, -1]].tolist() == [1, 4]


def test_the_words_of_examples_are_told_by_the_vocabulary_they_were_made_with(load, tmp_path):
    own, other = (
        TrainedVocabulary(size, extra_ids=0).make_at(tmp_path / str(size), prompt_texts())
        for size in (512, 500)
    )
    facts = {'vocabularies': {'inputs': vocabulary_facts(own.seqio())}}
    columns = {name: [np.asarray(own.encode('user_2 has item_3'))] for name in ('inputs', 'targets')}
    write_columns(tmp_path / 'examples', columns, facts)
    model = load().network
    told_by = dataclasses.replace(model, whole_words=WholeWords(own.path))
    assert len(open_examples(str(tmp_path / 'examples'), told_by)) == 1
    with pytest.raises(ValueError, match=f'made with another vocabulary than {other.path}, and words would'):
        wrong = dataclasses.replace(model, whole_words=WholeWords(other.path))
        open_examples(str(tmp_path / 'examples'), wrong)
    with pytest.raises(ValueError, match='must be None'):
        dataclasses.replace(load(), network=told_by)


def test_leaving_them_out_of_inference_trains_nothing_anew(load):
    recipe, omitting = load(), load('OMIT_WHOLE_WORDS_AT_INFERENCE=True')
    assert omitting.network.whole_words.omitted_at_inference
    assert omitting.model(omitting.run).whole_words.omitted_at_inference
    fewer_rows = dataclasses.replace(recipe.network.module.config, whole_word_embeddings=64)
    fewer = dataclasses.replace(
        recipe.network, module=dataclasses.replace(recipe.network.module, config=fewer_rows)
    )
    systems = (recipe, omitting, dataclasses.replace(recipe, network=fewer))
    trained = [fingerprint(system.train) for system in systems]
    assert trained[0] == trained[1] != trained[2]

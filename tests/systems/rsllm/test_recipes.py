"""The recipes of RSLLM and LLaRA can be configured, and what does not fit is refused."""

import pytest

from llmrec_jax.models.injected_decoder import CalrecContrast
from llmrec_jax.systems.rsllm.prompts import Rising, Staged
from llmrec_jax.systems.rsllm.system import RsllmSystem
from tests.systems.configured import configured


def load(system: str, *bindings: str) -> RsllmSystem:
    flags = [f'--gin_file=gin_configs/{system}/smoke.gin', '--gin.WORKDIR=runs/x']
    return configured([*flags, *(f'--gin.{text}' for text in bindings)])


def test_the_two_differ_by_curriculum_and_contrast():
    rsllm, llara = load('rsllm'), load('llara')
    assert (rsllm.name, rsllm.curriculum, rsllm.network.contrast) == ('rsllm', Staged(0.5), CalrecContrast())
    assert (llara.name, llara.curriculum, llara.network.contrast) == ('llara', Rising(), None)
    assert rsllm.form == llara.form and rsllm.with_vectors and llara.with_vectors
    assert not load('rsllm', 'prompts.Staged.text_share=1.0').with_vectors


@pytest.mark.parametrize(
    ('binding', 'message'),
    [
        ('CANDIDATES=9', 'candidates = 12'),
        ("rank.Ranking.seen_items='kept'", "must be 'removed'"),
        ('rank.Ranking.list_length=21', 'asks for 21 items of 20'),
        ("early_stopping.BestMetric.name='bleu'", "'bleu'"),
        ("trainer.Trainer.initial_checkpoint='elsewhere'", 'RsllmSystem.pretrained'),
        ('TEST_USERS=0', 'RsllmSystem.test_users=0'),
        ('TEMPERATURES=(0.07,)', 'must be 2'),
        ('prompts.Staged.text_share=1.5', 'text_share=1.5'),
    ],
)
def test_settings_that_cannot_be_had_are_refused(binding, message, capsys):
    with pytest.raises(SystemExit):
        load('rsllm', binding)
    assert message in capsys.readouterr().err

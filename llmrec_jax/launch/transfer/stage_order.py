"""The stages of a transfer recipe in order, and which of them train and which measure."""

from llmrec_jax.launch.corpus_stages import corpus_stage
from llmrec_jax.launch.evaluation_stages import content_stage, floors_stage
from llmrec_jax.launch.sampled_stages import sampled_floors_stage, sampled_stage
from llmrec_jax.launch.sequential_stages import sequential_evaluate_stage
from llmrec_jax.launch.transfer.source_stages import (
    codes_stage,
    pretraining_tasks_stage,
    sources_stage,
    vectors_stage,
)
from llmrec_jax.launch.transfer.target_stages import (
    transfer_tasks_stage,
    transfer_train_stage,
    untuned_stage,
)
from llmrec_jax.launch.transfer.training_stages import pretraining_stage, renaming_stage, start_stage

STAGES = (
    corpus_stage,
    floors_stage,
    sampled_floors_stage,
    sources_stage,
    vectors_stage,
    content_stage,
    codes_stage,
    transfer_tasks_stage,
    pretraining_tasks_stage,
    pretraining_stage,
    renaming_stage,
    start_stage,
    untuned_stage,
    transfer_train_stage,
    sequential_evaluate_stage,
    sampled_stage,
)
TO_TRAIN = (
    'corpus',
    'sources',
    'item_vectors',
    'codes',
    'tasks',
    'pretraining_tasks',
    'pretraining',
    'renaming',
    'start',
    'train',
)
TO_MEASURE = ('floors', 'sampled_floors', 'content', 'untuned', 'evaluate', 'sampled')

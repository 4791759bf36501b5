"""A recipe's gin file as a workload to plan: no corpus, no folder and no data are asked for."""

import dataclasses

from llmrec_jax.planning.workload import CatalogueSearch, TextStep, Workload
from llmrec_jax.runs import gin_config

# The recipes that launchers know, by the name of the configurable that holds one.
CATALOGUE_RECIPE, TEXT_RECIPE = 'Recipe', 'FineTuning'


@dataclasses.dataclass(frozen=True)
class DecodingSizes:
    """What a recipe leaves open, because a corpus would say it, or does not have.

    Attributes:
      items: of the catalogue; 12,101 is Amazon Beauty's.
      users: decoded at once; None for the recipe's number.
      beams: of a text decoder.
    """

    items: int = 12101
    users: int | None = None
    beams: int = 4


def planned_workload(sizes: DecodingSizes) -> Workload:
    """The workload of the recipe in gin's registry (see `gin_config.load`).

    Only the network, the trainer and the token layout are made, so that what a run would need besides, such
    as WORKDIR, CORPUS_DIR or INITIAL_CHECKPOINT, may be left out.

    Raises:
      ConfigurationError: when the gin files configure no recipe, or one of those parts is missing.
    """
    # What a run starts from is no part of its programs, and need not exist yet.
    gin_config.override('Trainer', 'initial_checkpoint', None)
    found = gin_config.resolve(
        CATALOGUE_RECIPE, ('model', 'trainer', 'layout', 'seen_items', 'decoding_batch_size')
    )
    if not found:
        found = gin_config.resolve(TEXT_RECIPE, ('model', 'trainer'))
    for part in ('model', 'trainer'):
        if part not in found:
            raise gin_config.ConfigurationError(
                f'the gin files bind no {part} of a {CATALOGUE_RECIPE} or {TEXT_RECIPE}: '
                'give a recipe, such as gin_configs/tiger/amazon_beauty.gin'
            )
    users = sizes.users or found.get('decoding_batch_size', 256)
    if 'layout' in found:
        removed = found.get('seen_items') == 'removed'
        decoding = CatalogueSearch(found['layout'], sizes.items, users, removed)
    else:
        decoding = TextStep(users, sizes.beams)
    return Workload(found['model'], found['trainer'], decoding)

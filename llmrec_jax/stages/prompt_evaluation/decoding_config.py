"""How a trained model is asked: which decoder answers which kind of question, and how many examples."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from llmrec_jax import marks
from llmrec_jax.decoding.name_search import NameSearch

CANDIDATES = ('search', 'likelihood')


@dataclasses.dataclass(frozen=True)
class DecodingConfig:
    """What of an evaluation is the model's to do.

    Attributes:
      text: decoder of ratings, choices and sentences, e.g. `decoding`'s Greedy.
      text_of_templates: another decoder for single templates, by their ids; P5 writes 3-9 and 3-12 by diverse
        beam search.
      items: the search for an item among the names of the catalogue; its beam is at least the largest of
        `ks`.
      unconstrained: a decoder whose beams are asked beside the search over the catalogue, as published, to
        count what of them names an item, and how often the same; None for none.
      candidates: how one item out of a user's candidates is found: 'search' for the beams of `items` over
        their names alone, 'likelihood' for the log-probability of each name.
      ks: cut-offs of hit rate and NDCG.
      batch_size: examples decoded at once; a multiple of the devices.
      length_buckets: shorter lengths that a batch of short inputs may be padded to; each costs a compilation.
      max_examples: examples of a task that are asked, drawn by `seed`, the same for every system; None for
        all. Of candidates that are asked about one by one, it counts users.
      seed: of that draw, and of decoders that sample.
    """

    text: Any
    items: NameSearch = dataclasses.field(default_factory=NameSearch)
    text_of_templates: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unconstrained: Any = None
    candidates: str = 'search'
    ks: tuple[int, ...] = (1, 5, 10)
    batch_size: int = marks.without_effect(64)
    length_buckets: tuple[int, ...] = marks.without_effect(())
    max_examples: int | None = None
    seed: int = 0

    def __post_init__(self):
        if self.candidates not in CANDIDATES:
            raise ValueError(
                f'DecodingConfig.candidates={self.candidates!r} must be one of '
                f'{", ".join(map(repr, CANDIDATES))}'
            )
        if self.items.beam_size < max(self.ks):
            raise ValueError(
                f'NameSearch.beam_size={self.items.beam_size} is below the cut-off {max(self.ks)} of '
                'DecodingConfig.ks'
            )
        if self.max_examples is not None and self.max_examples < 1:
            raise ValueError(
                f'DecodingConfig.max_examples={self.max_examples} must be at least 1, or None for all'
            )

    def check_devices(self) -> None:
        """Checks that a batch can be dealt out to all devices.

        Raises:
          ValueError: when it cannot.
        """
        check_batch(self.batch_size, 'DecodingConfig.batch_size')

    def check_names(self, longest: int) -> None:
        """Checks that beams over all texts have room for the name of every item.

        Args:
          longest: tokens of the longest name, its end token included.

        Raises:
          ValueError: when they have not.
        """
        if self.unconstrained is not None and self.unconstrained.max_length < longest:
            raise ValueError(
                f'the longest name of an item has {longest} tokens, but DecodingConfig.unconstrained writes '
                f'{self.unconstrained.max_length} at most: raise its max_length (NAME_LENGTH), or set '
                'DecodingConfig.unconstrained to None'
            )

    def text_decoder(self, template: str) -> Any:
        """The decoder of a template's texts."""
        return self.text_of_templates.get(template, self.text)


def check_batch(batch_size: int, setting: str) -> None:
    """Checks that a batch can be dealt out to all devices.

    Args:
      batch_size: questions at once.
      setting: what the configuration calls it.

    Raises:
      ValueError: when it cannot.
    """
    if batch_size % jax.device_count():
        raise ValueError(
            f'{batch_size} questions at once do not divide over {jax.device_count()} devices: '
            f'change {setting}'
        )

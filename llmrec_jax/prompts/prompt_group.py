"""Templates that are filled alike, and the examples that a record gives through them, in plain Python."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from llmrec_jax.prompts.array_ops import NUMPY, Array
from llmrec_jax.prompts.draws import Draws
from llmrec_jax.prompts.template import Template, by_id


class Filling(NamedTuple):
    """What one example of a record consists of.

    Attributes:
      texts: the text of each field; a vector of texts for a list.
      features: numbers that travel beside the text, e.g. the target's row in the catalogue.
    """

    texts: Mapping[str, Array]
    features: Mapping[str, Array]


@runtime_checkable
class Form(Protocol):
    """How a record becomes the fields of a template: a frozen dataclass that is called.

    It is written once against `ArrayOps` and `Draws` and runs in plain Python and in tf.data alike.
    """

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it fills."""

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """Fills them.

        Args:
          record: the columns of one record.
          tables: texts to look rows up in, such as the items' names; see `records.tables`.
          draws: the example's random draws.
        """


@dataclasses.dataclass(frozen=True)
class PromptGroup:
    """A task: which templates, how they are filled, and how often a record is asked in an epoch.

    Attributes:
      form: fills the fields.
      templates: one is drawn uniformly for each example; of one family and group.
      rate: examples of each record in an epoch.

    Raises:
      ValueError: when there are no templates, two have the same id, they differ in family or group, one names
        a field that the form does not fill, or the rate is below 1.
    """

    form: Form
    templates: tuple[Template, ...]
    rate: int = 1

    def __post_init__(self):
        if not self.templates:
            raise ValueError('a prompt group needs at least one template')
        by_id(self.templates)
        kinds = {(template.family, template.group) for template in self.templates}
        if len(kinds) > 1:
            raise ValueError(f'templates of {sorted(kinds)} cannot be drawn in turn: make a group of each')
        for template in self.templates:
            absent = sorted(template.fields - self.form.fields)
            if absent:
                raise ValueError(
                    f'template {template.id!r} of {template.family!r} names {", ".join(absent)}, which '
                    f'{type(self.form).__name__} does not fill; it fills '
                    f'{", ".join(sorted(self.form.fields))}'
                )
        if self.rate < 1:
            raise ValueError(f'{self.name}: the rate is {self.rate}, but a record gives at least one example')

    @property
    def family(self) -> str:
        """The templates' family."""
        return self.templates[0].family

    @property
    def name(self) -> str:
        """Family and group, e.g. 'sequential_next_item'."""
        return f'{self.family}_{self.templates[0].group}'

    def seen(self) -> 'PromptGroup':
        """The group for training: without the templates that are held out."""
        return self.only(template.id for template in self.templates if not template.held_out)

    def only(self, ids: Iterator[str] | Sequence[str]) -> 'PromptGroup':
        """The group of the templates with these ids.

        Raises:
          ValueError: when the group has no such template, or none is named.
        """
        known = by_id(self.templates)
        wanted = list(ids)
        unknown = [name for name in wanted if name not in known]
        if unknown or not wanted:
            raise ValueError(f'{self.name} has the templates {", ".join(known)}; asked for were {wanted}')
        return dataclasses.replace(self, templates=tuple(known[name] for name in wanted))

    def draw_template(self, draws: Draws) -> Array:
        """The row in `templates` of an example's template, int64 [1]."""
        return draws.integers('template', len(self.templates), 1)

    def example(
        self,
        record: Mapping[str, Any],
        tables: Mapping[str, Array],
        *,
        seed: int,
        epoch: int = 0,
        repetition: int = 0,
    ) -> dict[str, Any]:
        """One example: `inputs`, `targets`, the `template`'s id, and the form's features.

        Args:
          record: its columns, `record` (its number) among them.
          tables: see `Form`; made with `array_ops.NUMPY`.
          seed: of the data set.
          epoch: which pass over the records.
          repetition: which of the record's examples in this epoch.
        """
        draws = Draws.of(
            NUMPY, group=self.name, seed=seed, epoch=epoch, record=record['record'], repetition=repetition
        )
        filling = self.form(record, tables, draws)
        template = self.templates[int(self.draw_template(draws)[0])]
        prompt = template.render(filling.texts)
        return {**prompt._asdict(), 'template': template.id, **filling.features}

    def examples(
        self, records: Sequence[Mapping[str, Any]], tables: Mapping[str, Array], *, seed: int, epoch: int = 0
    ) -> Iterator[dict[str, Any]]:
        """An epoch in the order of the records, `rate` examples of each."""
        for record in records:
            for repetition in range(self.rate):
                yield self.example(record, tables, seed=seed, epoch=epoch, repetition=repetition)

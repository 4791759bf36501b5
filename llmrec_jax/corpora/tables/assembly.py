"""What the tables of items and users add to events: which columns they are, and what they say of whom."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_jax.corpora import scraped_text
from llmrec_jax.corpora.raw_events import ItemRecord
from llmrec_jax.corpora.tables import catalogue
from llmrec_jax.corpora.tables.events import TableEvents
from llmrec_jax.corpora.tables.parts import Part, names_of, read_parts
from llmrec_jax.corpora.tables.roles import Role, checked_fields, required, roles
from llmrec_jax.corpora.text_column import TextColumn

ITEM_ROLES = ('title', 'brand', 'categories', 'description', 'price')


@dataclasses.dataclass(frozen=True)
class ItemColumns:
    """How items are told of.

    Attributes:
      named: role of `ITEM_ROLES` -> the column's name, '' for none, None to guess.
      id_column: the column of ids, likewise.
      separator: what parts categories in one text; '' for nothing, None to guess.
      description_fields: columns that are told at the end of the description.
    """

    named: Mapping[str, str | None]
    id_column: str | None
    separator: str | None
    description_fields: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Told:
    """What a table says.

    Attributes:
      records: by id.
      roles: the columns that were read.
      facts: for the provenance.
    """

    records: Mapping[str, Any]
    roles: Mapping[str, Role]
    facts: Mapping[str, Any]


def items_beside_events(
    names: Sequence[str], events: Mapping[str, Role], wanted: ItemColumns
) -> dict[str, Role]:
    """The columns of items in a table of interactions, which may say of every event what it was about.

    A title beside a review is the review's, so that nothing is guessed there.
    """
    taken = {role.column for role in events.values()}
    left = [name for name in names if name not in taken]
    guessing = events['review'].column is None
    return roles(left if guessing else (), wanted.named)


def items_of_events(
    read: TableEvents, found: Mapping[str, Role], wanted: ItemColumns, scraps: scraped_text.Scraps
) -> Told:
    """What a table of interactions says of its items: of each, what stands in its first row."""
    first = catalogue.first_records(read.table, read.raw.line, read.raw.item_id)
    return _items(first, read.table.parts, found, wanted, scraps)


def items_of_table(
    parts: Sequence[Part], item_ids: TextColumn, wanted: ItemColumns, scraps: scraped_text.Scraps
) -> Told:
    """What a table of items says of those that have events.

    Raises:
      ValueError: naming file and line, when it cannot be read, or two lines contradict one another; and when
        it has none of the items.
    """
    names, path = names_of(parts), parts[0].path
    found = roles(names, {'item': wanted.id_column, **wanted.named})
    id_column = required(path, names, 'item', found['item'])
    fields = checked_fields(path, names, 'Tables.description_fields', wanted.description_fields)
    table = read_parts(parts, [id_column, *_columns(found), *fields])
    records = catalogue.records_of(table, id_column, item_ids)
    if not len(records.rows):
        _refuse_strangers(path, 'item', id_column, item_ids[0], table.value(0, id_column))
    told = _items(records, parts, found, wanted, scraps)
    return dataclasses.replace(
        told, facts={'items_listed': len(table), 'items_not_listed': len(item_ids) - len(told.records)}
    )


def users_of_table(
    parts: Sequence[Part], user_ids: TextColumn, id_column: str | None, fields: tuple[str, ...] | None
) -> Told:
    """What a table of users says of those that have events; raises as `items_of_table`.

    Args:
      parts: of the table.
      user_ids: of the users that have events, each once.
      id_column: the column of ids; None to guess.
      fields: the columns that are told; None for all.
    """
    names, path = names_of(parts), parts[0].path
    found = roles(names, {'user': id_column})
    id_column = required(path, names, 'user', found['user'])
    if fields is None:
        fields = tuple(name for name in names if name not in ('', id_column))
    told = checked_fields(path, names, 'Tables.profile_fields', fields)
    table = read_parts(parts, [id_column, *told])
    records = catalogue.records_of(table, id_column, user_ids)
    if not len(records.rows):
        _refuse_strangers(path, 'user', id_column, user_ids[0], table.value(0, id_column))
    profiles = catalogue.profiles(records, told)
    facts = {
        'users_listed': len(table),
        'users_not_listed': len(user_ids) - len(profiles),
        'profile_fields': told,
    }
    return Told(profiles, found, facts)


def _items(
    records: catalogue.Records,
    parts: Sequence[Part],
    found: Mapping[str, Role],
    wanted: ItemColumns,
    scraps: scraped_text.Scraps,
) -> Told:
    used = {role: found[role].column for role in ITEM_ROLES if found[role].column is not None}
    separator = wanted.separator
    if separator is None and any(part.types.get(used.get('categories', '')) == 'token_seq' for part in parts):
        # As RecBole's atomic files part them.
        separator = ' '
    told: dict[str, ItemRecord] = catalogue.item_records(
        records, used, separator=separator, description_fields=wanted.description_fields, scraps=scraps
    )
    return Told(told, found, {})


def _columns(found: Mapping[str, Role]) -> list[str]:
    return [role.column for name, role in found.items() if name in ITEM_ROLES and role.column is not None]


def _refuse_strangers(path: object, what: str, column: str, one: str, other: object) -> None:
    raise ValueError(
        f'{path}: none of the {what}s that have events is in its column {column!r}, which begins with '
        f'{other!r} where an event has {one!r}; name the column by Tables.{what}_column, or mend the ids'
    )

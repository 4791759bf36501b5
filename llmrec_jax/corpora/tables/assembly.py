"""What the tables of items and users add to events: which columns they are, and what they say of whom."""

import dataclasses
from collections.abc import Mapping, Sequence, Set
from typing import Any

from llmrec_jax.corpora import scraped_text
from llmrec_jax.corpora.raw_events import ItemRecord
from llmrec_jax.corpora.tables import catalogue
from llmrec_jax.corpora.tables.events import TableEvents
from llmrec_jax.corpora.tables.parts import Part, ReadTable, names_of, read_parts
from llmrec_jax.corpora.tables.roles import Role, checked_fields, required, roles

ITEM_ROLES = ('title', 'brand', 'categories', 'description', 'price')


@dataclasses.dataclass(frozen=True)
class ItemColumns:
    """How items are told of.

    Attributes:
      named: role of `ITEM_ROLES` -> the column's name, '' for none, None to guess.
      id_columns: see `id_of`.
      separator: what parts categories in one text; '' for nothing, None to guess.
      description_fields: columns that are told at the end of the description.
    """

    named: Mapping[str, str | None]
    id_columns: tuple[str | None, str | None]
    separator: str | None
    description_fields: Sequence[str]


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
    return roles(left if events['review'].column is None else (), wanted.named)


def items_of_events(
    read: TableEvents,
    found: Mapping[str, Role],
    ids: Set[str],
    wanted: ItemColumns,
    scraps: scraped_text.Scraps,
) -> Told:
    """What a table of interactions says of its items: of each, what stands in its first row.

    Args:
      read: the events.
      found: the columns of items, see `items_beside_events`.
      ids: of the items that are wanted.
      wanted: how items are told of.
      scraps: counts what was taken out of texts.
    """
    used = _columns(found)
    if not used and not wanted.description_fields:
        return Told({}, found, {})
    first = catalogue.first_records(read.table, read.raw.line, read.raw.item_id, ids)
    return Told(_item_records(first, used, wanted, scraps), found, {})


def items_of_table(
    parts: Sequence[Part], ids: Set[str], wanted: ItemColumns, scraps: scraped_text.Scraps
) -> Told:
    """What a table of items says.

    Args:
      parts: of the table.
      ids: of the items that are wanted.
      wanted: how items are told of.
      scraps: counts what was taken out of texts.

    Raises:
      ValueError: naming file and line, when it cannot be read, or two lines contradict one another; and when
        it has none of the items.
    """
    names, path = names_of(parts), parts[0].path
    found = roles(names, {'item': id_of(names, wanted.id_columns), **wanted.named})
    (id_column,) = required(path, names, found, {'item': 'Tables.item_id_column'})
    fields = checked_fields(path, names, 'Tables.description_fields', wanted.description_fields)
    used = _columns(found)
    table = read_parts(parts, [id_column, *used.values(), *fields])
    records = _item_records(_records(table, id_column, ids, 'item'), used, wanted, scraps)
    return Told(records, found, {'items_listed': len(table), 'items_not_listed': len(ids) - len(records)})


def users_of_table(
    parts: Sequence[Part],
    ids: Set[str],
    id_columns: tuple[str | None, str | None],
    fields: Sequence[str] | None,
) -> Told:
    """What a table of users says.

    Args:
      parts: of the table.
      ids: of the users that are wanted.
      id_columns: see `id_of`.
      fields: the columns that are told; None for all.

    Raises:
      ValueError: as `items_of_table`.
    """
    names, path = names_of(parts), parts[0].path
    found = roles(names, {'user': id_of(names, id_columns)})
    (id_column,) = required(path, names, found, {'user': 'Tables.user_id_column'})
    if fields is None:
        fields = [name for name in names if name not in ('', id_column)]
    told = checked_fields(path, names, 'Tables.profile_fields', fields)
    table = read_parts(parts, [id_column, *told])
    profiles = catalogue.profiles(_records(table, id_column, ids, 'user'), told)
    facts = {'users_listed': len(table), 'users_not_listed': len(ids) - len(profiles), 'profile_fields': told}
    return Told(profiles, found, facts)


def id_of(names: Sequence[str], named: tuple[str | None, str | None]) -> str | None:
    """The column of ids in a table of items or users; None where it is to be guessed.

    Args:
      names: of the table's columns.
      named: its name, and that of the column of the interactions, which many tables share.
    """
    own, shared = named
    return shared if own is None and shared in names else own


def _records(table: ReadTable, id_column: str, ids: Set[str], what: str) -> catalogue.CatalogueRows:
    found = catalogue.records_of(table, id_column, ids)
    if not len(found.rows):
        raise ValueError(
            f'{table.parts[0].path}: none of the {what}s that have events is in its column {id_column!r}, '
            f'which begins with {table.value(0, id_column)!r} where an event has {min(ids)!r}; name the '
            f'column by Tables.{what}_id_column, or mend the ids'
        )
    return found


def _item_records(
    records: catalogue.CatalogueRows,
    used: Mapping[str, str],
    wanted: ItemColumns,
    scraps: scraped_text.Scraps,
) -> dict[str, ItemRecord]:
    separator = wanted.separator
    parts = records.table.parts
    if separator is None and any(part.types.get(used.get('categories', '')) == 'token_seq' for part in parts):
        # As RecBole's atomic files part them.
        separator = ' '
    return catalogue.item_records(
        records, used, separator=separator, description_fields=wanted.description_fields, scraps=scraps
    )


def _columns(found: Mapping[str, Role]) -> dict[str, str]:
    return {
        name: role.column for name, role in found.items() if name in ITEM_ROLES and role.column is not None
    }

"""Which column is what: as gin names it, or guessed from the names that such columns have, and told."""

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence

# Names in the order of preference, in lower case and without what is no letter or digit.
GUESSES: Mapping[str, Sequence[str]] = {
    role: names.split()
    for role, names in {
        'user': 'userid user uid reviewerid customerid customer visitorid memberid accountid clientid '
        'buyerid personid playerid listenerid readerid usersha1 profileid username '
        'reviewername author sessionid session u',
        'item': 'parentasin itemid item iid asin productid product movieid movie articleid bookid '
        'businessid gameid appid songid trackid artistid albumid videoid newsid contentid '
        'recipeid beerid beerbeerid animeid placeid poiid venueid locationid listingid jobid '
        'courseid adid offerid skuid sku gmapid isbn workid goodsid merchantid id i',
        'time': 'timestamp unixreviewtime unixtime time datetime eventtime ts createdat date '
        'reviewdate dateadded dateupdated timestampms timems timecreated tdat orderdate '
        'purchasedate invoicedate reviewtime clicktime viewtime lastplayed',
        'rating': 'rating overall stars ratings starrating reviewoverall score grade r',
        'summary': 'summary reviewsummary reviewtitle reviewheadline headline',
        'review': 'reviewtext reviewbody review text comment content body',
        'title': 'title name itemname itemtitle productname producttitle prodname movietitle booktitle '
        'originaltitle appname gamename songname trackname businessname headline artistname '
        'recipename',
        'brand': 'brand brandname store manufacturer maker developer publisher artist',
        'categories': 'categories category genres genre categorypath categoryname categorycode class '
        'maincategory maincat producttypename tags cuisines topics',
        'description': 'description desc detaildesc productdescription itemdescription abstract overview '
        'plot synopsis summary about shortdescription text',
        'price': 'price listprice unitprice saleprice finalprice originalprice',
    }.items()
}


@dataclasses.dataclass(frozen=True)
class Role:
    """The column of a role.

    Attributes:
      column: its name; None where the table has none.
      guessed: whether nobody named it.
    """

    column: str | None
    guessed: bool

    def told(self) -> str:
        """In words."""
        return f'{self.column!r}, guessed' if self.guessed else repr(self.column)


def told(found: Mapping[str, Role]) -> dict[str, str]:
    """The columns that there are, for the provenance."""
    return {role: one.told() for role, one in found.items() if one.column is not None}


def in_words(found: Mapping[str, Role], names: Sequence[str], used: Sequence[str] = ()) -> str:
    """The columns that there are, for the log, and those that nothing is read of.

    Args:
      found: the column of each role.
      names: of the table's columns; none where it is not there.
      used: names of further columns that are read.
    """
    read = {role.column for role in found.values()} | set(used)
    unread = ', '.join(repr(name) for name in names if name not in read)
    said = ', '.join(f'{role} {one}' for role, one in told(found).items()) or 'no columns'
    return f'{said}; not read: {unread}' if unread else said


def roles(names: Sequence[str], named: Mapping[str, str | None]) -> dict[str, Role]:
    """The column of each role.

    Args:
      names: of the table's columns.
      named: role -> the column's name, '' for none, None to guess.
    """
    found: dict[str, Role] = {}
    taken = {column for column in named.values() if column}
    simple = {name: re.sub(r'[^a-z0-9]', '', name.lower()) for name in names}
    for role, column in named.items():
        if column is not None:
            found[role] = Role(column or None, guessed=False)
            continue
        left = [name for name in names if name not in taken]
        guess = next((name for like in GUESSES[role] for name in left if simple[name] == like), None)
        taken |= {guess} - {None}
        found[role] = Role(guess, guessed=True)
    return found


def required(
    path: object, names: Sequence[str], found: Mapping[str, Role], options: Mapping[str, str]
) -> list[str]:
    """The columns of roles that a table cannot be without.

    Args:
      path: of the table.
      names: of its columns.
      found: what is known of roles.
      options: role of `GUESSES` that must have a column -> the option that names it.

    Raises:
      ValueError: when any has none, with all that have none, the columns that are there and the options that
        name them.
    """
    lacking = [role for role in options if found[role].column is None]
    if not lacking:
        return [str(found[role].column) for role in options]
    sought = ' and none of the '.join(f'{role}s' for role in lacking)
    examples = ' '.join(_example(names, role, options[role]) for role in lacking)
    mend = f'name {"it" if len(lacking) == 1 else "them"} by {examples}'
    if looks_like_data(names):
        mend += ', or, where the first line is no header, name all columns by Tables.header'
    shown = ', '.join(map(repr, names))
    absent = [
        f'{options[role]} = {found[role].column!r}'
        for role in options
        if role not in lacking and found[role].column not in names
    ]
    also = f' (nor is there what is named by {", ".join(absent)})' if absent else ''
    raise ValueError(f'{path}: no column of the {sought} was found among {shown}{also}; {mend}')


def _example(names: Sequence[str], role: str, option: str) -> str:
    """A binding that names the column of a role, the nearest where one is near."""
    near = difflib.get_close_matches(role, names, n=1, cutoff=0.3)
    return f"--gin.{option}='{near[0]}'" if near else f'--gin.{option}=NAME'


def once_each(names: Sequence[str], wanted: Sequence[str]) -> str:
    """What keeps `wanted` columns from being read, in words; '' where each is among `names` once."""
    absent = [repr(name) for name in wanted if name not in names]
    twins = [repr(name) for name in wanted if names.count(name) > 1]
    said = [
        f'{found} {", ".join(columns)}'
        for found, columns in (('no column', absent), ('two columns', twins))
        if columns
    ]
    return ' and '.join(said)


def looks_like_data(names: Sequence[str]) -> bool:
    """Whether a header looks like a row of data: some name is a number."""
    return any(re.fullmatch(r'-?\d+(\.\d*)?', name) for name in names)


def checked_fields(path: object, names: Sequence[str], option: str, fields: Sequence[str]) -> tuple[str, ...]:
    """Columns that an option lists.

    Raises:
      ValueError: when the table lacks any such column, naming all of them and the nearest.
    """
    if absent := [field for field in fields if field not in names]:
        near = [name for field in absent for name in difflib.get_close_matches(field, names, n=1, cutoff=0.4)]
        raise ValueError(
            f'{path}: {option} names {", ".join(map(repr, absent))}, which it has no column of; it has '
            f'{", ".join(dict.fromkeys(near or names))}'
        )
    return tuple(fields)

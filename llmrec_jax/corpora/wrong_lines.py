"""What is wrong with the lines of a file, told at once."""

from collections.abc import Mapping

_LINES_NAMED = 10


def all_told(wrong: Mapping[int, str]) -> str:
    """What is wrong with the first line, and the numbers of the others.

    Args:
      wrong: number of a line -> what is wrong with it, in the order of the file; at least one.
    """
    first, *others = wrong
    if not others:
        return wrong[first]
    numbers = ', '.join(map(str, others[:_LINES_NAMED]))
    more = ', …' if len(others) > _LINES_NAMED else ''
    return f'{wrong[first]} ({len(wrong)} lines are wrong, the others are {numbers}{more})'

"""Finds names that nothing defines, which `make lint` ends with.

    python tests/undefined_names.py llmrec_jax tasks

Ruff's F821 would, but takes the axes of jaxtyping's annotations, `Float[Array, 'users']`, for names.
"""

import builtins
import pathlib
import symtable
import sys
from collections.abc import Iterator

# Of every module.
KNOWN = {*dir(builtins), '__file__', '__name__', '__doc__', '__path__', '__spec__', '__annotations__'}


def undefined(source: str, path: str = '') -> list[str]:
    """Names that a module reads as globals and never binds, once each.

    Args:
      source: of the module.
      path: of its file.
    """
    top = symtable.symtable(source, path, 'exec')
    bound = {
        symbol.get_name()
        for table in _tables(top)
        for symbol in table.get_symbols()
        if (table is top or symbol.is_declared_global()) and (symbol.is_assigned() or symbol.is_imported())
    }
    read = {
        symbol.get_name()
        for table in _tables(top)
        for symbol in table.get_symbols()
        # Python takes the locals of a function that is called `top` for globals too.
        if symbol.is_referenced() and (table is top or (symbol.is_global() and not symbol.is_local()))
    }
    return sorted(read - bound - KNOWN)


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def main(roots: list[str]) -> int:
    """Prints what is found, and returns the exit code."""
    found = [
        f'{path}: undefined name {name!r}'
        for root in roots
        for path in (
            [pathlib.Path(root)] if root.endswith('.py') else sorted(pathlib.Path(root).rglob('*.py'))
        )
        for name in undefined(path.read_text(encoding='utf-8'), str(path))
    ]
    print('\n'.join(found) or 'No name is undefined.')
    return int(bool(found))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

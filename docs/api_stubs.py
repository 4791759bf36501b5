"""Writes a page of the API reference for each room that exists."""

import pathlib

# Rooms in the order in which data flow through them.
ROOMS = (
    'llmrec_jax.corpora',
    'llmrec_jax.text',
    'llmrec_jax.semantic_ids',
    'llmrec_jax.prompts',
    'llmrec_jax.language_models',
    'llmrec_jax.models',
    'llmrec_jax.decoding',
    'llmrec_jax.retrieval',
    'llmrec_jax.evaluation',
    'llmrec_jax.training',
    'llmrec_jax.runs',
    'llmrec_jax.stages',
    'llmrec_jax.inference',
    'llmrec_jax.systems',
    'llmrec_jax.comparison',
    'tasks',
    'llmrec_jax.planning',
    'llmrec_jax.t5x',
)

INDEX = """# API reference

One page a room, in the order in which data flow through them. The pages are made from the docstrings.

```{{toctree}}
:maxdepth: 1

{rooms}
```
"""

ROOM = """# {room}

```{{eval-rst}}
.. automodule:: {room}

.. currentmodule:: None

.. autosummary::

{names}
```
"""

MODULE = """
## {name}

```{{eval-rst}}
.. automodule:: {module}
```
"""


def rooms_of(root: pathlib.Path) -> list[str]:
    """The rooms of `ROOMS` that are packages under `root`."""
    return [room for room in ROOMS if (root / room.replace('.', '/') / '__init__.py').is_file()]


def modules_of(root: pathlib.Path, room: str) -> list[str]:
    """The modules and packages within a room, those of packages too; none is imported to find them.

    Args:
      root: the repository.
      room: a package, e.g. 'llmrec_jax.corpora'.
    """
    folder = root / room.replace('.', '/')
    paths = [path.relative_to(root).with_suffix('') for path in sorted(folder.rglob('*.py'))]
    names = ['.'.join(path.parent.parts if path.name == '__init__' else path.parts) for path in paths]
    return sorted(name for name in names if name != room and not name.endswith('__main__'))


def write(root: pathlib.Path, folder: pathlib.Path) -> None:
    """Writes `index.md` and a page a room into `folder`, and removes the page of a room that is gone.

    Args:
      root: the repository.
      folder: where the pages go; git ignores it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rooms = rooms_of(root)
    pages = {'index.md': INDEX.format(rooms='\n'.join(rooms))}
    for room in rooms:
        pages[f'{room}.md'] = _page(room, modules_of(root, room))
    for stale in set(folder.glob('*.md')) - {folder / name for name in pages}:
        stale.unlink()
    for name, text in pages.items():
        page = folder / name
        # A page that is as it was keeps its time, so that Sphinx does not build it again.
        if not page.is_file() or page.read_text(encoding='utf-8') != text:
            page.write_text(text, encoding='utf-8')


def _page(room: str, modules: list[str]) -> str:
    names = '\n'.join(f'   {module}' for module in modules)
    head = ROOM.format(room=room, names=names)
    return head + ''.join(
        MODULE.format(name=name.removeprefix('llmrec_jax.'), module=name) for name in modules
    )

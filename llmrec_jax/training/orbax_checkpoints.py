"""The arrays of a checkpoint that Orbax wrote: ours, and T5X's since it uses Orbax."""

import json

from llmrec_jax.training.stored_arrays import Folder, ZarrArray

METADATA = '_METADATA'
# What Orbax says of a leaf that holds no array.
NO_ARRAYS = ('None', 'Dict', 'List', 'Tuple', 'NamedTuple', 'string')


def is_orbax(folder: Folder) -> bool:
    """Whether Orbax wrote a tree of arrays into `folder`."""
    return folder.read(METADATA) is not None


def orbax_arrays(folder: Folder, prefix: str) -> dict[str, ZarrArray]:
    """The arrays of the tree that Orbax wrote into `folder`, by their paths in the tree.

    A member of a tuple bears its index and one of a named tuple its field's name, so that a tree of optax's
    own states and T5X's dictionaries of the same states have the same paths.

    Args:
      folder: the item's folder, `checkpoint_<step>/state`.
      prefix: of the paths that are wanted.

    Raises:
      Exception: when it is damaged.
    """
    described = json.loads(folder.read(METADATA))
    names = []
    for leaf in described['tree_metadata'].values():
        keys = [str(part['key']) for part in leaf['key_metadata']]
        if leaf['value_metadata']['value_type'] not in NO_ARRAYS and '/'.join(keys).startswith(prefix):
            names.append(keys)
    driver = 'zarr3' if described.get('use_zarr3') else 'zarr'
    merged = folder.read('manifest.ocdbt') is not None
    specs = {}
    for keys in names:
        # Orbax joins the keys with dots, and lays an array under that name.
        stored = '.'.join(keys) + '/'
        kvstore = {'driver': 'ocdbt', 'base': folder.url, 'path': stored} if merged else folder.url + stored
        specs['/'.join(keys)] = {'driver': driver, 'kvstore': kvstore}
    return folder.open_arrays(specs)

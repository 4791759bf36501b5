"""A hash of a network's parameters, whatever file they came from and however they are sharded."""

import hashlib
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, UInt32

from llmrec_jax.training.parameter_restore import named_leaves

_UNSIGNED = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}


def params_fingerprint(params: PyTree[Array]) -> str:
    """sha256 over names, shapes, types and two sums of each parameter's bits.

    The sums are of integers, modulo 2**32, each word multiplied by a hash of its place: exact, so the same on
    one device and on many. They tell checkpoints apart; they do not defend against forgery.
    """
    named = named_leaves(params)
    sums = jax.device_get(jax.jit(lambda leaves: [_sums(leaf) for leaf in leaves])(list(named.values())))
    facts = {
        name: [str(leaf.dtype), list(leaf.shape), np.asarray(total).tolist()]
        for (name, leaf), total in zip(named.items(), sums, strict=True)
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _sums(leaf: Any) -> UInt32[Array, '2']:
    words = jax.lax.bitcast_convert_type(leaf, _UNSIGNED[leaf.dtype.itemsize]).astype(jnp.uint32)
    places = jnp.zeros(leaf.shape, jnp.uint32)
    for axis, size in enumerate(leaf.shape):
        places = places * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, leaf.shape, axis)
    return jnp.stack([jnp.sum(words * (_mixed(places, salt) | 1), dtype=jnp.uint32) for salt in (1, 2)])


def _mixed(places: UInt32[Array, '...'], salt: int) -> UInt32[Array, '...']:
    """A bijection of 32 bits in which every bit depends on all (the finalizer of MurmurHash3)."""
    mixed = places + jnp.uint32(salt * 0x9E3779B9 % 2**32)
    mixed = (mixed ^ (mixed >> 16)) * jnp.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> 13)) * jnp.uint32(0xC2B2AE35)
    return mixed ^ (mixed >> 16)

"""SplitMix64 (Steele, Lea and Flood, 2014) by counter: random bits that need no state."""

import hashlib

from llmrec_jax.prompts.array_ops import Array, ArrayOps

GAMMA = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def mix(ops: ArrayOps, values: Array) -> Array:
    """SplitMix64's output function: a bijection of 64 bits, any of which moves half of the output's."""
    values = ops.xor(values, ops.shift_right(values, 30)) * ops.bits(_MULTIPLIERS[0])
    values = ops.xor(values, ops.shift_right(values, 27)) * ops.bits(_MULTIPLIERS[1])
    return ops.xor(values, ops.shift_right(values, 31))


def outputs(ops: ArrayOps, state: Array, counters: Array) -> Array:
    """The generator's outputs number `counters` (from 0) after `state`, uint64 [counters]."""
    return mix(ops, state + (ops.bits(counters) + ops.bits(1)) * ops.bits(GAMMA))


def below(ops: ArrayOps, bits: Array, bound: Array) -> Array:
    """Brings random bits to 0..bound-1, uniform to within bound / 2^32: their upper half times the bound."""
    return ops.integers(ops.shift_right(ops.shift_right(bits, 32) * ops.bits(bound), 32))


def name_constant(name: str) -> int:
    """64 bits of a name, the same in every process."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), 'little')

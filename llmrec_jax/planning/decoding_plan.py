"""Plans a decoding step: the search of a catalogue for a batch of users, or one step of a text decoder."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import partitioning
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from llmrec_jax.models.t5.flops import cross_keys_values_flops, decoder_token_flops, encoder_flops
from llmrec_jax.planning.collectives import Collective
from llmrec_jax.planning.compilation import OutOfMemory, ProgramMemory, compile_program
from llmrec_jax.planning.memory import sharded_bytes
from llmrec_jax.planning.roofline import Roofline, roofline
from llmrec_jax.planning.settings import Setting
from llmrec_jax.planning.topology import Topology
from llmrec_jax.planning.workload import CatalogueSearch, TextStep, Workload, beams_at, catalogue_trie, placed
from llmrec_jax.training.mesh import DATA, MODEL
from llmrec_jax.training.train_state import abstract_state


@dataclasses.dataclass(frozen=True)
class DecodingPlan:
    """What one run of the decoding program needs; figures are a device's unless they say otherwise.

    Attributes:
      setting: the mesh, rules and dtype it is planned under; the batch is the decoding's own.
      users: decoded at once, over all devices.
      model_flops: of the run by formula, over all devices.
      parameters: bytes of the network.
      memory: of the program, parameters among its arguments; None where it does not compile for want of it.
      out_of_memory: by how much it does not fit.
      matrix_flops: what the compiled program multiplies.
      memory_bytes: read from and written to main memory.
      collectives: of the program.
      time: the least time of a run; None where the chip's figures are not known.
    """

    setting: Setting
    users: int
    model_flops: int
    parameters: int
    memory: ProgramMemory | None
    out_of_memory: OutOfMemory | None
    matrix_flops: int = 0
    memory_bytes: int = 0
    collectives: tuple[Collective, ...] = ()
    time: Roofline | None = None


def check_decoding(workload: Workload, setting: Setting) -> None:
    """Checks that the users can be shared as the setting says; compiles nothing.

    Raises:
      ValueError: when they cannot.
    """
    decoding, (data, model) = workload.decoding, setting.mesh
    shards = data * model if isinstance(decoding, CatalogueSearch) else data
    if decoding.users < 1 or decoding.users % shards:
        raise ValueError(
            f'{decoding.users} users decoded at once do not divide over the {shards} shards of mesh '
            f'{data}x{model}; give a multiple of {shards} as --decode_batch_size'
        )


def plan_decoding(workload: Workload, setting: Setting, topology: Topology) -> DecodingPlan:
    """Compiles the decoding program under `setting` and reads what it needs.

    Raises:
      ValueError: when the users do not divide over the devices, or the catalogue does not fit its layout.
    """
    check_decoding(workload, setting)
    workload = setting.apply(workload)
    decoding = workload.decoding
    mesh = workload.trainer.mesh.build(topology.devices)
    if isinstance(decoding, CatalogueSearch):
        params, lowered = _lower_search(workload, decoding, mesh)
        model_flops = _search_flops(workload, decoding)
    else:
        params, lowered = _lower_text_step(workload, decoding, mesh)
        tokens = decoding.users * decoding.beams
        model_flops = tokens * decoder_token_flops(workload.config, *workload.lengths)
    outcome = compile_program(lowered, mesh.size)
    parameters = sharded_bytes(params)
    if isinstance(outcome, OutOfMemory):
        return DecodingPlan(setting, decoding.users, model_flops, parameters, None, outcome)
    costs, devices = outcome.costs, list(np.asarray(mesh.devices).flat)
    time = roofline(topology, devices, costs.matrix_flops, costs.memory_bytes, costs.collectives)
    return DecodingPlan(
        setting,
        decoding.users,
        model_flops,
        parameters,
        outcome.memory,
        None,
        costs.matrix_flops,
        costs.memory_bytes,
        costs.collectives,
        time,
    )


def _search_flops(workload: Workload, decoding: CatalogueSearch) -> int:
    config, length = workload.config, workload.lengths[0]
    tokens = decoding.users * sum(beams_at(decoding, workload.model.decode_fn.beam_size))
    once = encoder_flops(config, decoding.users, length)
    once += cross_keys_values_flops(config, decoding.users, length)
    return once + tokens * decoder_token_flops(config, length, decoding.layout.n_levels)


def _lower_search(workload: Workload, decoding: CatalogueSearch, mesh: Mesh) -> tuple[Any, Any]:
    """The search as `generative_recommender` runs it: parameters as trained, users over all devices."""
    params = _abstract_params(workload, mesh)
    over_devices = NamedSharding(mesh, PartitionSpec((DATA, MODEL)))
    padding = {'inputs': np.zeros((decoding.users, workload.lengths[0]), np.int32)}
    features = workload.model.convert_features(padding)
    inputs = {'batch': jax.tree.map(lambda rows: jax.ShapeDtypeStruct(rows.shape, rows.dtype), features)}
    if decoding.remove_seen:
        history = (workload.lengths[0] - 1) // decoding.layout.n_levels
        inputs['seen'] = jax.ShapeDtypeStruct((decoding.users, history), jnp.int32)
    trie = placed(catalogue_trie(decoding.layout, decoding.items), NamedSharding(mesh, PartitionSpec()))

    def search(params: Any, trie: Any, batch: Any, **filters: Any) -> Any:
        return workload.model.recommend(params, batch, trie, **filters)

    return params, jax.jit(search).lower(params, trie, **placed(inputs, over_devices))


def _lower_text_step(workload: Workload, decoding: TextStep, mesh: Mesh) -> tuple[Any, Any]:
    """One position of every beam; caches are donated, and their heads lie with the weights that fill them."""
    params = _abstract_params(workload, mesh)
    module, (inputs, targets) = workload.model.module, workload.lengths
    users, beams = decoding.users, decoding.beams
    encoded = jax.ShapeDtypeStruct((users, inputs, workload.config.emb_dim), workload.config.dtype)
    cross = jax.eval_shape(
        lambda params, encoded: module.apply({'params': params}, encoded, method='cross_keys_values'),
        params,
        encoded,
    )
    cache = jax.eval_shape(lambda: module.init_self_cache(users, beams, targets))

    heads = MODEL if workload.config.num_heads % mesh.shape[MODEL] == 0 else None

    def with_heads(tree: Any) -> Any:
        def spread(leaf: Any) -> jax.ShapeDtypeStruct:
            spec = PartitionSpec(DATA, *(None,) * (len(leaf.shape) - 3), heads, None)
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, spec))

        return jax.tree.map(spread, tree)

    by_user = NamedSharding(mesh, PartitionSpec(DATA))
    newest = jax.ShapeDtypeStruct((users, beams), jnp.int32, sharding=by_user)
    mask = jax.ShapeDtypeStruct((users, inputs), jnp.bool_, sharding=by_user)
    position = jax.ShapeDtypeStruct((), jnp.int32, sharding=NamedSharding(mesh, PartitionSpec()))

    def step(params: Any, cache: Any, cross: Any, newest: Any, position: Any, mask: Any) -> Any:
        return module.apply({'params': params}, newest, position, cache, cross, mask, method='decode_beams')

    cache = with_heads(cache)
    outputs = (by_user, jax.tree.map(lambda leaf: leaf.sharding, cache))
    with jax.set_mesh(mesh), partitioning.axis_rules(workload.trainer.logical_axis_rules):
        lowered = jax.jit(step, donate_argnums=1, out_shardings=outputs).lower(
            params, cache, with_heads(cross), newest, position, mask
        )
    return params, lowered


def _abstract_params(workload: Workload, mesh: Mesh) -> Any:
    features = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype)
        for name, array in workload.training_features().items()
    }
    trainer = workload.trainer
    optimizer = trainer.optimizer.build()
    return abstract_state(workload.model, optimizer, features, mesh, trainer.logical_axis_rules).params

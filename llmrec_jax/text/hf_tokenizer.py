"""A vocabulary as Hugging Face's `tokenizer.json`, which gives the ids that SentencePiece gives.

transformers reads a SentencePiece file as a unigram model whatever it is. Told by a `tokenizer.json`, it
reads unigram models and byte-pair encoding alike, with byte fallback and symbols. What SentencePiece does in
one normalizer is spelled out here as several; whether both agree is found out for each vocabulary
(`check_agreement`).

Known to differ are letters under several marks that do not stand in Unicode's order, which SentencePiece
leaves as they are, and the names of special tokens where a text writes them.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors

from llmrec_jax.text.text_vocabulary import EOS, PAD, SPACE, UNK, TextVocabulary

SPIECE, TOKENIZER, TOKENIZER_CONFIG = 'spiece.model', 'tokenizer.json', 'tokenizer_config.json'
# Kinds of pieces in a SentencePiece model.
NORMAL, USER_DEFINED, BYTE = 1, 4, 6
UNIGRAM, BPE = 1, 2
# Normalizations that begin with Unicode's NFKC; of these, 'nmt_' ones leave a wide tilde as it is.
NFKC = ('nfkc', 'nmt_nfkc', 'nfkc_cf', 'nmt_nfkc_cf')
WIDE_TILDE, NO_CHARACTER = '\uff5e', '\ufdd0'


def tokenizer_files(vocabulary: TextVocabulary) -> dict[str, bytes]:
    """The files by which transformers tokenizes, and the SentencePiece model itself.

    Returns:
      Name of each file to its content.

    Raises:
      ValueError: as `build_tokenizer`, and when the ids of sample texts differ from SentencePiece's.
    """
    tokenizer = build_tokenizer(vocabulary)
    check_agreement(tokenizer, vocabulary, sample_texts(vocabulary))
    return {
        SPIECE: vocabulary.model,
        TOKENIZER: tokenizer.to_str(pretty=True).encode(),
        TOKENIZER_CONFIG: json.dumps(tokenizer_config(vocabulary), indent=2).encode(),
    }


def build_tokenizer(vocabulary: TextVocabulary) -> tokenizers.Tokenizer:
    """The vocabulary as a tokenizer, which ends each text with the end token as T5 does.

    Extra ids are added tokens, as in T5's own: they are read wherever they are written, where SentencePiece
    asks for a space before.

    Raises:
      ValueError: when the model is of another kind than unigram or byte-pair encoding, or normalizes in a way
        that has no counterpart.
    """
    proto = vocabulary.model_proto
    pieces = [(piece.piece, piece.score, piece.type) for piece in proto.pieces]
    tokenizer = tokenizers.Tokenizer(_model(vocabulary, proto.trainer_spec, pieces))
    tokenizer.normalizer = _normalizer(vocabulary.path, proto.normalizer_spec, proto.trainer_spec)
    apart = _apart(proto.trainer_spec, pieces)
    if apart:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex('|'.join(apart)), 'isolated')
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, ' '), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(' ', 1, 0)]
    )
    special = [pieces[token][0] for token in (PAD, EOS, UNK)]
    tokenizer.add_special_tokens([_special(name) for name in special])
    # The last extra id comes first.
    tokenizer.add_special_tokens([_special(name) for name in reversed(extra_id_names(vocabulary))])
    end = pieces[EOS][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f'$A {end}', pair=f'$A {end} $B {end}', special_tokens=[(end, EOS)]
    )
    if tokenizer.get_vocab_size() != vocabulary.size:
        raise ValueError(
            f'{vocabulary.path} has {vocabulary.size} tokens, of which {tokenizer.get_vocab_size()} differ: '
            'a tokenizer.json tells tokens apart by their names'
        )
    return tokenizer


def tokenizer_config(vocabulary: TextVocabulary) -> dict[str, Any]:
    """What `tokenizer_config.json` says, so that transformers reads `tokenizer.json` and nothing else."""
    pieces = vocabulary.model_proto.pieces
    return {
        # T5's own class would build a unigram model of the pieces.
        'tokenizer_class': 'PreTrainedTokenizerFast',
        'pad_token': pieces[PAD].piece,
        'eos_token': pieces[EOS].piece,
        'unk_token': pieces[UNK].piece,
        'additional_special_tokens': extra_id_names(vocabulary),
        'clean_up_tokenization_spaces': False,
    }


def extra_id_names(vocabulary: TextVocabulary) -> list[str]:
    """`<extra_id_0>` and on."""
    return [f'<extra_id_{number}>' for number in range(vocabulary.extra_ids)]


def check_agreement(
    tokenizer: tokenizers.Tokenizer, vocabulary: TextVocabulary, texts: Iterable[str]
) -> None:
    """Compares ids on texts.

    Args:
      tokenizer: what `build_tokenizer` gave.
      vocabulary: the vocabulary.
      texts: to compare on.

    Raises:
      ValueError: at the first text whose ids differ.
    """
    for text in texts:
        theirs, ours = tokenizer.encode(text).ids, [*vocabulary.encode(text), EOS]
        if theirs != ours:
            raise ValueError(
                f'{vocabulary.path}: as a tokenizer.json it gives other ids for {text!r}: {theirs} for '
                f'{ours}; export without a vocabulary, and tokenize with SentencePiece'
            )


def sample_texts(vocabulary: TextVocabulary) -> list[str]:
    """Texts to compare ids on: the pieces themselves, alone and joined, and what is rare in texts."""
    pieces = [
        piece.piece.replace(SPACE, ' ')
        for piece in vocabulary.model_proto.pieces
        if piece.type in (NORMAL, USER_DEFINED)
    ]
    joined = [''.join(pieces[start : start + 7]) for start in range(0, len(pieces), 7)]
    extra = extra_id_names(vocabulary)
    sentinels = [f'A {first} of {second}' for first, second in zip(extra[:5], extra[-5:])]
    return [*RARE_TEXTS, *sentinels, *pieces, *joined]


# Numbers, spaces, signs, letters of many scripts, and what normalization folds, joins or drops.
RARE_TEXTS: Sequence[str] = (
    '',
    ' ',
    '\n\t ',
    'user_23 has bought item_7391 , item_12.\n4.5',
    'item_1',
    ' item_0071,item_9 , user_1000000',
    '007 0 00 000 12345678901 1.50 1,000 -3 +4 1/2 50% $9.99',
    '  two  spaces   and a tab\tand\r\na line \u00a0\u2003\u3000 wide  ',
    'Café cafe\u0301 ＦＵＬＬ ｗｉｄｔｈ １２３ ½ ² ﬁ № ™ …',
    'naïve Straße İstanbul Ωμέγα Привет мир שלום مرحبا नमस्ते 日本語 한국어 각',
    '😀👍🏽👨‍👩‍👧 ☃ 𝒳 \U0001f1e9\U0001f1ea \ufeff\u200b\u200d\u00ad\u0007',
    '<0x41> <0_12><1_55> {~} \\ "quoted" \'single\' `code` [list] (x) #tag @name a_b__c',
    '▁ ▁▁a a▁b',
    'aaaaaaaaaaaaaaaa abababab zzzzz .......... ----- _____',
    'e\u0301te\u0301 Vie\u0323\u0302t \u1112\u1161\u11ab',
    '\uff76\uff9e\uff8a\uff9f \u304b\u3099 \uff11\uff5e\uff12',
    'The quick brown fox jumps over the lazy dog; SHOUTED, camelCase and x^2+y^2=z^2 too!',
)


def _apart(spec: Any, pieces: Sequence[tuple[str, float, int]]) -> list[str]:
    """Patterns of what is split off before the model sees it: symbols, the longest first."""
    symbols = sorted((piece for piece, _, kind in pieces if kind == USER_DEFINED), key=len, reverse=True)
    patterns = [re.escape(symbol) for symbol in symbols]
    if spec.model_type == UNIGRAM and any(kind == BYTE for _, _, kind in pieces):
        # A text that writes the name of a byte's piece does not mean the byte.
        patterns.append('<(?=0x[0-9A-F]{2}>)')
    return patterns


def _special(name: str) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(name, special=True, normalized=False)


def _model(
    vocabulary: TextVocabulary, spec: Any, pieces: Sequence[tuple[str, float, int]]
) -> models.BPE | models.Unigram:
    falls_back = any(kind == BYTE for _, _, kind in pieces)
    if spec.model_type == UNIGRAM:
        lowest = min(score for _, score, kind in pieces if kind == NORMAL)
        # A symbol, which stands alone, is dearer than any way to spell it.
        other = {BYTE: lowest, USER_DEFINED: 0.0}
        scored = [(piece, other.get(kind, score)) for piece, score, kind in pieces]
        return models.Unigram(scored, unk_id=UNK, byte_fallback=falls_back)
    if spec.model_type != BPE:
        raise ValueError(f'{vocabulary.path} is neither a unigram model nor one of byte-pair encoding')
    return models.BPE(
        vocab={piece: token for token, (piece, _, _) in enumerate(pieces)},
        merges=_merges(pieces),
        unk_token=pieces[UNK][0],
        fuse_unk=not falls_back,
        byte_fallback=falls_back,
        # Symbols stand alone after the pre-tokenizer, and are no merges' work.
        ignore_merges=True,
    )


def _merges(pieces: Sequence[tuple[str, float, int]]) -> list[tuple[str, str]]:
    """Pairs that may be joined, the most wanted first: SentencePiece joins any two whose whole is a piece."""
    scores = {piece: score for piece, score, kind in pieces if kind == NORMAL}
    found = [
        (-score, -scores[piece[:cut]], piece[:cut], piece[cut:])
        for piece, score in scores.items()
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    return [(left, right) for _, _, left, right in sorted(found)]


def _normalizer(path: str, spec: Any, trainer: Any) -> normalizers.Normalizer:
    """SentencePiece's normalizer in steps, in its order."""
    if not spec.escape_whitespaces or trainer.treat_whitespace_as_suffix:
        raise ValueError(f'{path} marks spaces in another way than before a word; it has no tokenizer.json')
    steps = []
    if spec.name in NFKC:
        # The table of characters below takes one at a time, and loses marks that follow what it replaces.
        nfkc = [normalizers.NFKC()]
        if spec.name.startswith('nmt'):
            kept = normalizers.Replace(WIDE_TILDE, NO_CHARACTER)
            nfkc = [kept, *nfkc, normalizers.Replace(NO_CHARACTER, WIDE_TILDE)]
        steps += nfkc
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Replace(Regex(r'\A +'), ''), normalizers.Replace(Regex(' {2,}'), ' ')]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(' '))
    steps.append(normalizers.Replace(' ', SPACE))
    if spec.remove_extra_whitespaces:
        steps.append(normalizers.Replace(Regex(f'{SPACE}+\\z'), ''))
    return normalizers.Sequence(steps)

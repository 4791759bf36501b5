"""From inputs and targets to what a decoder reads and predicts: T5X's decoder-only features, in numpy.

They are those of `seqio.PrefixLMFeatureConverter`: inputs and targets of an example stand one behind the
other, the loss is on the targets, and 'decoder_causal_attention' marks what is read of the inputs. Padding is
the zeros behind the last token other than 0, in inputs and targets each: in the vocabularies of LLaMA 3 and
Qwen 0 is a token of its own, '!'.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Int

PACKING_FEATURES = ('decoder_segment_ids', 'decoder_positions')
# Of our own: where the tokens stand that have a weight, so that logits are computed for them alone.
LOSS_PLACES = 'decoder_loss_places'

Tokens = Int[np.ndarray, 'batch _']


def real_tokens(tokens: Tokens) -> Bool[np.ndarray, 'batch _']:
    """Which tokens are no padding."""
    return np.flip(np.maximum.accumulate(np.flip(tokens != 0, 1), 1), 1)


def decoder_features(
    task_batch: Mapping[str, np.ndarray], start_token: int | None, loss_on_targets_only: bool = True
) -> dict[str, Int[np.ndarray, 'batch length']]:
    """The features of a padded batch.

    Args:
      task_batch: 'inputs' [batch, inputs] and, for training and scoring, 'targets' [batch, targets]; where
        rows are packed, 'inputs_segment_ids', 'inputs_positions' and the same of the targets.
      start_token: read before the inputs of each example; None where the inputs begin with what is read
        first, which is then not predicted.
      loss_on_targets_only: whether tokens of the inputs have no weight.

    Returns:
      'decoder_input_tokens', 'decoder_causal_attention' (1 where the token that is read is the start or one
      of the inputs), with targets 'decoder_target_tokens' and 'decoder_loss_weights', of packed rows
      'decoder_segment_ids' and 'decoder_positions'; [batch, inputs + targets] each, int32. Without targets
      and with a start token there is one position more than inputs. Where the loss is on the targets alone
      also 'decoder_loss_places' [batch, targets], which has all places with a weight.
    """
    inputs = np.asarray(task_batch['inputs'], np.int32)
    has_targets = 'targets' in task_batch
    # A column of padding for the position at which the last of the inputs is read.
    blank = np.zeros((len(inputs), int(start_token is not None)), np.int32)
    targets = np.asarray(task_batch['targets'], np.int32) if has_targets else blank
    packed = 'inputs_segment_ids' in task_batch
    if packed:
        segments = [np.asarray(task_batch[f'{name}_segment_ids'], np.int32) for name in ('inputs', 'targets')]
    else:
        segments = [real_tokens(tokens).astype(np.int32) for tokens in (inputs, targets)]
    # Segment by segment, the inputs of each before its targets, padding last.
    segment = np.concatenate(segments, axis=1)
    order = np.argsort(np.where(segment == 0, np.iinfo(np.int32).max, segment), axis=1, kind='stable')
    segment = np.take_along_axis(segment, order, axis=1)
    full = np.take_along_axis(np.concatenate([inputs, targets], axis=1), order, axis=1)
    full = np.where(segment == 0, 0, full)
    is_input = (order < inputs.shape[1]) & (segment != 0)
    first = np.pad(segment[:, 1:] != segment[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    places = np.arange(full.shape[1], dtype=np.int32)
    positions = places - np.maximum.accumulate(np.where(first, places, 0), axis=1)
    if start_token is None:
        read, of_inputs = full, is_input
        follows = np.pad(~first[:, 1:], ((0, 0), (0, 1))) & (segment != 0)
        predicted, predicts_input = (np.pad(part[:, 1:], ((0, 0), (0, 1))) for part in (full, is_input))
    else:
        before, after_input = (np.pad(part[:, :-1], ((0, 0), (1, 0))) for part in (full, is_input))
        if not packed:
            first = np.broadcast_to(places == 0, full.shape)
        read = np.where(first, start_token, before)
        # Where there are no targets, the last of the inputs is read beside padding.
        of_inputs = (first & ((segment != 0) | (not packed))) | after_input
        follows, predicted, predicts_input = segment != 0, full, is_input
    weights = follows & ~(predicts_input & loss_on_targets_only)
    features = {'decoder_input_tokens': read, 'decoder_causal_attention': of_inputs}
    if has_targets:
        features['decoder_target_tokens'] = np.where(follows, predicted, 0)
        features['decoder_loss_weights'] = weights
        if loss_on_targets_only:
            features[LOSS_PLACES] = np.argsort(~weights, axis=1, kind='stable')[:, : targets.shape[1]]
    if packed:
        features |= {
            'decoder_segment_ids': segment,
            'decoder_positions': np.where(segment == 0, 0, positions),
        }
    return {name: feature.astype(np.int32) for name, feature in features.items()}

"""Sequential recommenders: a user's items so far, oldest first, predict the next one.

Items are rows 0, 1, ... of the catalogue. As tokens they are 1, 2, ...: token 0 is padding, item `i` is
token `i + 1`. Sequences are padded on the left, so that the last column holds the newest item, whatever the
width.

Three parts make a recommender, and each may be replaced without the others:

- an item encoder (`item_encoder.ItemEncoder`), from tokens to vectors, and the vectors of all items;
- a sequence encoder (`network.SequenceEncoder`), from the vectors of a sequence to its states;
- a loss (`losses.SequenceLoss`), of the states at the positions that are to be predicted.

`recommender_model.SequentialRecommenderModel` puts them together for `training.Trainer`; a state's score of
an item is their inner product.
"""

# The feature of examples and batches: tokens of whole sequences.
ITEMS = 'items'
# Who each sequence is of, for a model that asks.
USER = 'user'

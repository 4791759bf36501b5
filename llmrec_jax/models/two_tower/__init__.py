"""Two-tower retrieval: queries and items as vectors that meet in an inner product, trained within batches."""

# The features of a pair: the row of a text among the training texts, and the token of the item it looks for.
QUERY, ITEM = 'query', 'item'

"""Two-tower retrieval: queries and items as vectors that meet in an inner product, trained within batches."""

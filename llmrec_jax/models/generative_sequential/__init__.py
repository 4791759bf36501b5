"""Generative retrieval with one position an item: a history's states, and from each the next item's codes.

TIGER (Rajput et al., 2023) writes each item as several tokens, and makes an example of each prefix of each
history. Here an item is one position, the states of all positions come from one pass of a sequence encoder,
and a small head at each position writes the codes of the next item one after the other. Codes that no item
has are left out of every softmax, in training as in decoding, so that the catalogue's probabilities add up
to 1.
"""

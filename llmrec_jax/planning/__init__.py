"""What a recipe's programs need and how fast they can be, found by compiling them without the chips."""

"""What prompts are made from: tables of records, cut from a corpus by one mask for all families."""

"""Prompts: templates as data, what fills them, and the draws that make each example a function of its seed.

| module | holds |
|---|---|
| `template` | a template, and how it is written out in plain Python |
| `prompt_group` | the templates that share one form: drawing one, filling it, in plain Python |
| `tf_prompts` | the same inside `tf.data`, byte for byte (the one module that needs TensorFlow) |
| `draws` | random numbers that NumPy and TensorFlow reproduce from (seed, epoch, record) |
| `p5` | P5's families |
| `records` | what a family's prompts are made from, with one mask for all families |
| `naming` | items and users as words |
"""

"""Texts that language models write: asked for through one interface, and stored once they have come.

| module | holds |
|---|---|
| `language_model` | the interface: what is asked and what comes back |
| `stored_responses` | responses that are kept, and what answers from them alone |
| `batch_requests` | many requests with a progress bar |
| `usage` | tokens and cost |
| `chat_server` | a server that speaks OpenAI's chat protocol |
| `chat_completions`, `exchange`, `workers` | its protocol, HTTP, rate limit and threads |

A T5 on this machine's devices needs JAX, and is `llmrec_jax.inference.local_t5`.
"""

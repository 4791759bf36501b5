"""From gin files to finished stages: what the launchers `llmrec_jax.{run,train,evaluate,infer}` share."""

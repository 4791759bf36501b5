"""The smoke recipe, so short that its network has no time to learn."""

SHORT = (
    '--gin_file=gin_configs/tiger/smoke.gin',
    '--gin.TRAIN_STEPS=6',
    '--gin.WARMUP_STEPS=2',
    '--gin.quantizer.RqVae.steps=50',
    '--gin.trainer.Trainer.length_buckets=()',
    '--gin.trainer.Trainer.validate_every=3',
    '--gin.trainer.Trainer.microbatches=1',
)

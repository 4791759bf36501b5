"""T5X as an engine for our recipes; the one room that imports T5X.

`gin_configs/runs/t5x_{train,finetune,eval,infer}.gin` bind what is here to what T5X's launchers ask for.
"""

"""The recipes as a package, so that gin finds `gin_configs/...` from any folder, under T5X too."""

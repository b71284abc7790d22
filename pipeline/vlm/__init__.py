"""The Qwen2-VL family: checkpoints, preprocessing, positions, chat template."""

"""The training engine: profile, data, model, losses, trainer, metrics, checkpoints. Knows of no terminal.

Nothing is imported here, so that a program can read profiles, events and run folders without loading torch.
"""

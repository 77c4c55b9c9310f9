"""ViT-B/16 at 224 on a CUDA device: images a second by precision, and what of them the program costs."""

from __future__ import annotations

import gc

import torch

from tests.benchmarks.row import Row
from tests.benchmarks.train_loop import compare, row_of

MODEL, SIZE = "ViT-B-16", (224, 224)
PRECISIONS = {"fp32": ("fp32", False), "TF32": ("fp32", True), "bf16": ("bf16", True)}
BATCHES = (64, 256)


def rows() -> list[Row]:
    if not torch.cuda.is_available():
        return [
            Row(
                f"training images/s, {MODEL}",
                "a bare loop",
                None,
                "x",
                0.97,
                at_least=True,
                detail="skipped: no CUDA device",
            )
        ]
    found = []
    for name, (precision, tf32) in PRECISIONS.items():
        for batch in BATCHES:
            gc.collect()  # the model before
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            rates = compare(MODEL, SIZE, batch, batches=16, stretches=7, precision=precision, tf32=tf32)
            what = f"{MODEL} at 224x224, {name}, batch {batch}"
            found += [
                row_of(rates, what),
                Row(what, "waiting for images", 100 * rates.waited, "% of the time", None),
                Row(what, "memory at the peak", rates.memory / 2**30, "GiB", None),
            ]
    return found

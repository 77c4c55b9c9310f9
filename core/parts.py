"""Everything that a run is made of: data, model, classifier, training step; on one device."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.checkpoint import Checkpoint, restore_model
from core.data.shelf import Shelves
from core.data.store import ImageStore
from core.data.unreadable import Unreadable
from core.dataset import as_begun_with, read_dataset
from core.devices import choose_device, choose_precision, describe
from core.errors import ReidError
from core.events import RunStarted
from core.model import build_model
from core.profile import Profile
from core.samplers import Batches, pk_batches, shuffle_batches
from core.step import TrainStep, autocast, moved, on_device
from core.validation import ValidationImages


class Parts:
    """Built in the order in which things are quick to fail.

    Args:
        profile: what to build.
        pool: the threads that decode images.
        resume: a LAST, whose weights are taken.
        tell: gets a line before each thing that may take long; may raise, to give up.
        unreadable: told of each image that cannot be read; unless it raises, the image is left out.

    Raises:
        ReidError: a device, a folder, a model or weights cannot be used.
    """

    def __init__(
        self,
        profile: Profile,
        pool: ThreadPoolExecutor,
        resume: Checkpoint | None,
        tell: Callable[[str], None],
        unreadable: Unreadable,
    ) -> None:
        torch.manual_seed(profile.run.seed)
        self.profile = profile
        self.device = choose_device(profile.run.device)
        self.precision = choose_precision(profile.run.precision, self.device)
        tell("reading the folders of the data set")
        self.data = read_dataset(profile)
        if resume and resume.identity_names != self.data.identity_names:
            raise ReidError(
                "The data have changed",
                f"{self.data.root} has other training identities than the run was begun with; set data.root",
            )
        self.changed = ""  # in the data, since a resumed run began
        if resume and (names := resume.extra["resume"].get("train_images")):
            self.data, self.changed = as_begun_with(self.data, names)
        tell(f"building {profile.model.name}")
        model = restore_model(resume) if resume else build_model(profile.model, profile.data.image_size)
        if self.device.type != "cpu":
            tell(f"moving it to {self.device}")
        self.model = model.to(self.device)
        self.classifier = nn.Linear(self.model.embedding_dim, len(self.data.identity_names)).to(self.device)
        if resume:
            self.classifier.load_state_dict(resume.classifier)
        self.step = TrainStep(self.model, self.classifier, profile.train, self.device, self.precision)
        normalized = profile.data.normalize == "clip"
        self.mean = self.model.mean if normalized else None
        self.std = self.model.std if normalized else None
        shelves = Shelves(int(profile.data.cache_gb * 1e9), exact=profile.data.decode == "exact", tell=tell)
        size = profile.data.image_size
        self.train_images = ImageStore(self.data.train.paths, size, pool, shelves, unreadable)
        self.validation_images = ValidationImages(self.data.splits, size, pool, shelves, unreadable)

    def batches_of(self, epoch: int) -> Batches:
        """Indices into the training images of each batch of an epoch."""
        train, seed = self.profile.train, self.profile.run.seed
        if train.sampler == "pk":
            ids = self.data.train_ids.tolist()
            return pk_batches(ids, train.batch_size, train.images_per_identity, seed, epoch)
        return shuffle_batches(len(self.data.train_ids), train.batch_size, seed, epoch)

    def close(self) -> None:
        """Let go of the images."""
        self.train_images.close()
        self.validation_images.store.close()

    def train_on(self, indices: NDArray[np.int64], pixels: Tensor) -> None:
        """One step: (B,) indices, and their images as (B, H, W, 3) uint8 on the CPU."""
        ids = moved(torch.from_numpy(self.data.train_ids[indices]), self.device)
        self.step(on_device(pixels, self.device, self.mean, self.std), ids)

    def embed(self, pixels: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 on the CPU to (B, D) fp32 embeddings on the device."""
        with autocast(self.device, self.precision):
            embeddings: Tensor = self.model(on_device(pixels, self.device, self.mean, self.std))
        return embeddings.float()

    def describe(self, folder: Path, resumed_epoch: int, resumed_batch: int) -> RunStarted:
        """What is about to be trained."""
        profile, data = self.profile, self.data
        return RunStarted(
            time=time.time(),
            run=folder.name,
            name=profile.run.name,
            folder=str(folder),
            model=self.model.open_clip_name,
            pretrained=profile.model.pretrained,
            dataset=profile.data.dataset,
            aspect=profile.data.aspect,
            image_size=profile.data.image_size,
            device=describe(self.device),
            precision=self.precision,
            epochs=profile.train.epochs,
            batch_size=profile.train.batch_size,
            batches_per_epoch=len(self.batches_of(1)),
            identities=len(data.identity_names),
            train_images=len(data.train.paths),
            query_images=sum(len(split.query) for split in data.splits),
            gallery_images=sum(len(split.gallery) for split in data.splits),
            patience=profile.train.early_stop_patience,
            validated_on=data.validated_on,
            profile=profile.tables(),
            resumed_epoch=resumed_epoch,
            resumed_batch=resumed_batch,
        )

"""Everything that a run is made of: data, model, classifier, training step; on one device."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.checkpoint import Checkpoint, restore_model
from core.data.augment import draw, erased, shifted
from core.data.on_device import channels, moved, to_images
from core.data.shelf import Shelves
from core.data.store import ImageStore
from core.data.unreadable import Unreadable
from core.dataset import as_begun_with, read_dataset
from core.devices import autocast, choose_device, choose_precision, describe, products
from core.errors import ReidError
from core.events import RunStarted
from core.micro_batches import sizes_of_parts
from core.model import build_model
from core.model_switches import checkpoint_gradients, compile_faults, compiled
from core.profile import Augment, Profile
from core.samplers import Batches, pk_batches, shuffle_batches
from core.step import TrainStep
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
        self.tf32 = profile.run.tf32 and self.precision == "fp32"
        self.step = self._step(tell)
        normalized = profile.data.normalize == "clip"
        self.mean = self.model.mean if normalized else None
        self.std = self.model.std if normalized else None
        shelves = Shelves(
            int(profile.data.cache_gb * 1e9),
            exact=profile.data.decode == "exact",
            pinned=self.device.type == "cuda",
            tell=tell,
        )
        size = profile.data.image_size
        self.train_images = ImageStore(self.data.train.paths, size, pool, shelves, unreadable)
        try:
            self.validation_images = ValidationImages(self.data.splits, size, pool, shelves, unreadable)
        except BaseException:
            self.train_images.close()
            raise

    def _step(self, tell: Callable[[str], None]) -> TrainStep:
        """The training step with the switches of `[train]`."""
        train, forward = self.profile.train, None
        if train.grad_checkpointing:
            checkpoint_gradients(self.model)
        if train.compile:
            tell("looking whether torch can compile here; the first batches are slow, as the model is compiled in them")
            sizes = {len(batch) for batch in self.batches_of(1)}
            parts = {size for batch in sizes for size in sizes_of_parts(batch, train.micro_batch)}
            forward = compiled(self.model, self.device, parts)
        return TrainStep(
            self.model, self.classifier, train, self.device, self.precision, tf32=self.tf32, forward=forward
        )

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

    def train_on(self, indices: NDArray[np.int64], pixels: Tensor, epoch: int, batch: int) -> None:
        """One step.

        Args:
            indices: (B,) of the training images.
            pixels: they, (B, H, W, 3) uint8 on the CPU.
            epoch, batch: their place in the run, counted from 1; augmentations are drawn from it.

        Raises:
            ReidError: `train.compile` is on, and the model cannot be compiled.
        """
        ids = moved(torch.from_numpy(self.data.train_ids[indices]), self.device)
        images = self._augmented(moved(pixels, self.device), epoch, batch)
        with compile_faults() if self.profile.train.compile else nullcontext():
            self.step(images, ids)

    def _augmented(self, pixels: Tensor, epoch: int, batch: int) -> Tensor:
        """(B, H, W, 3) uint8 on the device to the images to train on, (B, 3, H, W) fp32."""
        augment = self.profile.augment
        if augment == Augment():
            return to_images(pixels, self.mean, self.std)
        size = self.profile.data.image_size
        drawn = moved(draw(augment, len(pixels), size, self.profile.run.seed, epoch, batch), self.device)
        if augment.flip or augment.crop_padding:
            pixels = shifted(pixels, drawn)
        images = to_images(pixels, self.mean, self.std)
        if augment.erase:
            images = erased(images, drawn, channels((0.0,) if self.mean else self.model.mean, self.device))
        return images

    def embed(self, pixels: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 on the CPU to (B, D) fp32 embeddings on the device."""
        images = to_images(moved(pixels, self.device), self.mean, self.std)
        with products(self.device, tf32=self.tf32), autocast(self.device, self.precision):
            embeddings: Tensor = self.model(images)
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

"""Files of tensors, read without running what may be in them."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from core.architectures import one_line
from core.errors import WeightsError


def read_file(path: Path) -> dict[str, Any]:
    """The dict in a weights file, tensors on the CPU; nothing in the file is run.

    Of a TorchScript archive, which OpenAI's files are, the state dict is taken and no method is called.

    Raises:
        WeightsError: the file is missing, damaged, or holds code.
    """
    title = f"Weights {path} cannot be read"
    damaged = "it is damaged or cut short, or no weights file at all; copy or download it again"
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise WeightsError(title, error.strerror or one_line(error)) from error
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(title, "it is a Git LFS pointer, not the weights; fetch them with: git lfs pull")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is deprecated, that a pickle's protocol is new
            content = _load(path)
    except pickle.UnpicklingError as error:
        what = re.search(r"GLOBAL ([\w.]+)", str(error))
        if what or head.startswith(b"\x80"):  # a bare pickle, of a kind that torch cannot check
            raise WeightsError(title, _holds_code(path, what[1] if what else "")) from error
        raise WeightsError(title, damaged) from error
    except (RuntimeError, OSError, EOFError, LookupError, ValueError, TypeError, SafetensorError) as error:
        raise WeightsError(title, f"{damaged} ({one_line(error, 120)})") from error
    if not isinstance(content, dict):
        raise WeightsError(title, f"it holds a {type(content).__name__}, not a state dict")
    return dict(content)


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if _is_torchscript(path):
        archive = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        return dict(archive.state_dict())
    return torch.load(path, map_location="cpu", weights_only=True)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False  # torch.load says what is wrong with it


def _holds_code(path: Path, what: str) -> str:
    named = f" ({what})" if what else ""
    return (
        f"{path.name} was refused because it holds code, not only tensors{named}, and unpickling runs it. If you "
        f"trust its source, load it where it was made and save its state_dict alone, with safetensors or torch.save"
    )

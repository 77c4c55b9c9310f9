"""Files of tensors: found in the Hugging Face cache, and read without running what may be in them."""

from __future__ import annotations

import math
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import huggingface_hub
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from core.architectures import one_line
from core.errors import WeightsError

# The names that open_clip's repositories have, in the order in which it asks for them.
_HUB_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")

# What torch, pickle and zipfile are known to raise on a damaged file, besides pickle.UnpicklingError.
_DAMAGE = (
    RuntimeError,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    SafetensorError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)

_STORAGES = {
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
}


def read_file(path: Path) -> dict[str, Any]:
    """The dict in a weights file, tensors on the CPU; nothing in the file is run.

    Of a TorchScript archive, which OpenAI's files are, parameters and buffers are taken and the code is left alone.

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
            warnings.simplefilter("ignore")  # that a pickle's protocol is new
            content = _load(path)
    except pickle.UnpicklingError as error:
        what = re.search(r"GLOBAL ([\w.]+)", str(error))
        if what or head.startswith(b"\x80"):  # a bare pickle, of a kind that torch cannot check
            raise WeightsError(title, _holds_code(path, what[1] if what else "")) from error
        raise WeightsError(title, damaged) from error
    except _DAMAGE as error:
        cause = one_line(error, 120)
        said = any(char.isalpha() for char in cause)  # a KeyError's text may be a bare number
        raise WeightsError(title, f"{damaged} ({cause})" if said else damaged) from error
    if not isinstance(content, dict):
        raise WeightsError(title, f"it holds a {type(content).__name__}, not a state dict")
    return dict(content)


def find_in_cache(config: Mapping[str, Any]) -> Path | None:
    """The file of a tag's entry, where the Hugging Face cache has it; no network is asked for a newer one."""
    if not config.get("hf_hub"):
        return None
    repository, names = _hub_files(config)
    paths = (huggingface_hub.try_to_load_from_cache(repository, name) for name in names)
    return next((Path(path) for path in paths if isinstance(path, str)), None)


def check_connection(config: Mapping[str, Any]) -> None:
    """Ask for a tag's entry once, before a download, which without a network tries again for most of a minute.

    Raises:
        ConnectionError: nobody answers.
    """
    if not config.get("hf_hub"):
        return
    repository, names = _hub_files(config)
    url = huggingface_hub.hf_hub_url(repository, names[-1])
    try:
        huggingface_hub.get_hf_file_metadata(url)
    except huggingface_hub.errors.HfHubHTTPError:
        return  # somebody answers; what is wrong the download says
    except Exception as error:  # the client's own kinds, httpx's or requests'
        raise ConnectionError(f"{url} cannot be reached: {one_line(error)}") from error


def _hub_files(config: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Repository and file names of "org/name/file" or "org/name/"; as open_clip does, safetensors first."""
    repository, _, name = str(config["hf_hub"]).rpartition("/")
    if not name or name in _HUB_NAMES:
        return repository, _HUB_NAMES
    return repository, (str(PurePosixPath(name).with_suffix(".safetensors")), name)


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            _check_sums(archive)
            for name in archive.namelist():
                if name.endswith("/constants.pkl"):
                    return _ScriptedModule(archive, name.removesuffix("constants.pkl")).state
    return torch.load(path, map_location="cpu", weights_only=True)


def _check_sums(archive: zipfile.ZipFile) -> None:
    """Refuse bit rot, which `torch.load` does not look for."""
    if not any(entry.CRC for entry in archive.infolist()):
        return  # torch.serialization.set_crc32_options(False) leaves the sums out
    if broken := archive.testzip():
        raise zipfile.BadZipFile(f"bad checksum of its entry {broken}")


class _Object:
    """Stands for an object of a class of the archive's; what it holds comes into its `__dict__`."""

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):  # of which only code in the archive could make attributes
            kind = type(self)
            raise pickle.UnpicklingError(f"GLOBAL {kind.__module__}.{kind.__qualname__}.__setstate__ would be run")
        vars(self).update(state)


class _ScriptedModule(pickle.Unpickler):
    """A TorchScript archive, of which `torch.jit.load` would run every `__setstate__`.

    Its objects are unpickled as empty shells around their attributes. The code is only searched for the lines in
    which a class names its parameters and buffers.

    Args:
        archive: the open file.
        folder: what the names of its entries start with, "/" included.

    Attributes:
        state: the state dict.
    """

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self._archive = archive
        self._folder = folder
        self._bytes: dict[str, bytearray] = {}
        with archive.open(f"{folder}data.pkl") as file:
            super().__init__(file)
            module = self.load()
        if not isinstance(module, _Object):
            raise ValueError(f"a TorchScript archive of a {type(module).__name__}")
        self.state: dict[str, Tensor] = dict(self._tensors(module, "", 0))

    def find_class(self, module: str, name: str, /) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return type(name, (_Object,), {"__module__": module})
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch", "device"): _first,
            ("torch.jit._pickle", "restore_type_tag"): _first,
            **{("torch.jit._pickle", f"build_{kind}list"): _first for kind in ("int", "bool", "double", "tensor")},
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"GLOBAL {module}.{name} is no part of a model's weights")
        return known[module, name]

    def persistent_load(self, pid: Any, /) -> Tensor:
        """A storage, as a flat tensor."""
        _, dtype, key, _, size = pid
        if key not in self._bytes:
            self._bytes[key] = bytearray(self._archive.read(f"{self._folder}data/{key}"))
        content = self._bytes[key]
        if not isinstance(dtype, torch.dtype) or not 0 <= size * dtype.itemsize <= len(content):
            raise ValueError(f"{size} numbers of {dtype} in {len(content)} bytes")
        return torch.frombuffer(content, dtype=dtype, count=size) if size else torch.empty(0, dtype=dtype)

    def _tensors(self, module: _Object, prefix: str, depth: int) -> Iterator[tuple[str, Tensor]]:
        if depth > 50:
            raise ValueError("its modules hold each other")
        names = self._parameters_and_buffers(type(module))
        for name, value in vars(module).items():
            if isinstance(value, _Object):
                yield from self._tensors(value, f"{prefix}{name}.", depth + 1)
            elif isinstance(value, Tensor) and name in names:
                yield f"{prefix}{name}", value

    def _parameters_and_buffers(self, kind: type) -> set[str]:
        entry = f"{self._folder}code/{kind.__module__.replace('.', '/')}.py"
        text = self._archive.read(entry).decode()
        body = re.search(rf"^class {re.escape(kind.__name__)}\(Module\):\n((?:  .*\n|\n)*)", text, re.MULTILINE)
        lines = re.findall(r"^  __(?:parameters|buffers)__ = \[(.*)\]$", body[1] if body else "", re.MULTILINE)
        return {name for line in lines for name in re.findall(r'"(.*?)"', line)}


def _first(value: Any, *_: Any) -> Any:
    return value


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    if min((0, offset, *size, *stride)) < 0 or len(size) != len(stride):
        raise ValueError(f"a tensor of size {size} and strides {stride} at {offset}")
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= len(storage):
        raise ValueError(f"a tensor of size {size} and strides {stride} at {offset} of {len(storage)} numbers")
    return storage.as_strided(size, stride, offset)


def _holds_code(path: Path, what: str) -> str:
    named = f" ({what})" if what else ""
    return (
        f"{path.name} was refused because it holds code, not only tensors{named}, and unpickling runs it. If you "
        f"trust its source, load it where it was made and save its state_dict alone, with safetensors or torch.save"
    )

"""Names of runs and their folders."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ReidError
from core.naming import MAX_STEM, build_filename, is_stem, make_run_folder, run_folder_name
from core.profile import Profile


def profile(model: str = "RN-tiny", dataset: str = "hands", aspect: str = "dorsal-right", **tables: Any) -> Profile:
    return Profile.model_validate(
        {
            "run": {"name": "demo", **tables.get("run", {})},
            "data": {"root": "data", "dataset": dataset, "aspect": aspect},
            "model": {"name": model},
            "train": {"epochs": 12, "lr": 1e-3, "batch_size": 32, **tables.get("train", {})},
        }
    )


def test_the_stem_says_what_was_trained() -> None:
    assert build_filename(profile()) == "demo_RN-tiny_hands_dorsal-right_e12_lr1e-3_b32"


def test_empty_parts_are_left_out() -> None:
    assert build_filename(profile(aspect="")) == "demo_RN-tiny_hands_e12_lr1e-3_b32"
    assert build_filename(profile(model="///", aspect="")) == "demo_hands_e12_lr1e-3_b32"


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ("ViT-B/16", "ViT-B-16"),
        ("../../etc/passwd", "etc-passwd"),
        ("vit_base patch16", "vit-base-patch16"),
        ("modèle été", "mod-le-t"),
        (".hidden.", "hidden"),
        ("EVA02-E-14-plus", "EVA02-E-14-plus"),
    ],
)
def test_parts_are_made_safe(model: str, part: str) -> None:
    assert build_filename(profile(model=model, aspect="")).split("_")[1] == part


@pytest.mark.parametrize(
    ("lr", "part"),
    [(1e-5, "lr1e-5"), (3.5e-4, "lr3.5e-4"), (0.1, "lr1e-1"), (0.00123, "lr1.23e-3"), (1.0, "lr1"), (2.5, "lr2.5")],
)
def test_rates_are_short_and_exact(lr: float, part: str) -> None:
    assert build_filename(profile(train={"lr": lr})).split("_")[-2] == part


@given(st.floats(min_value=1e-300, max_value=10, exclude_min=True))
def test_no_two_rates_have_one_name(lr: float) -> None:
    assert float(build_filename(profile(train={"lr": lr})).split("_")[-2].removeprefix("lr")) == lr


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=400), st.integers(1, 64))
def test_any_model_gives_a_name_for_a_file(model: str, length: int) -> None:
    stem = build_filename(profile(model, dataset="d" * length, aspect="a" * 64, run={"name": "n" * length}))
    assert re.fullmatch(r"[A-Za-z0-9.+_-]+", stem)
    assert is_stem(stem)
    assert len(stem) <= MAX_STEM and not stem.startswith((".", "-"))
    assert stem.endswith("_e12_lr1e-3_b32")


def test_only_the_longest_part_is_cut() -> None:
    stem = build_filename(profile(model="m" * 500))
    assert len(stem) == MAX_STEM
    assert stem.startswith("demo_mmm") and stem.endswith("m_hands_dorsal-right_e12_lr1e-3_b32")


def test_the_folder_says_when() -> None:
    name = run_folder_name(profile(aspect=""), datetime(2026, 3, 4, 5, 6, 7))
    assert name == "demo_RN-tiny_hands_e12_lr1e-3_b32_20260304-050607"


def test_runs_never_share_a_folder(tmp_path: Path) -> None:
    parent = tmp_path / "runs" / "of-mine"
    made = [make_run_folder(parent, "run") for _ in range(3)]
    assert [folder.name for folder in made] == ["run", "run-2", "run-3"]
    assert all(folder.is_dir() for folder in made)
    (parent / "other").write_text("a file")
    (parent / "link").symlink_to(parent / "nowhere")
    assert make_run_folder(parent, "other").name == "other-2"
    assert make_run_folder(parent, "link").name == "link-2"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ReidError, match=r"runs.run.*set run\.dir"):
        make_run_folder(tmp_path / "runs", "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ReidError, match=r"Permission denied; set run\.dir"):
            make_run_folder(tmp_path, "run")
    finally:
        tmp_path.chmod(0o700)

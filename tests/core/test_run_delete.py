"""Only a real run folder is deleted, never a live one, and nothing outside of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import ReidError
from core.run_delete import delete_run, why_not
from core.run_list import run_folders
from core.run_lock import held
from tests.listed_runs import make_run


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def refused(folder: Path) -> str:
    """The message of the refusal; nothing has changed."""
    before = everything(folder.parent)
    with pytest.raises(ReidError) as error:
        delete_run(folder)
    assert everything(folder.parent) == before
    return error.value.message


def test_a_run_is_gone_and_no_other(tmp_path):
    gone, stays = make_run(tmp_path, "gone"), make_run(tmp_path, "stays")
    delete_run(gone)
    assert list(tmp_path.iterdir()) == [stays]
    assert run_folders(tmp_path) == [stays]


def test_one_that_has_just_begun_and_one_without_a_lock(tmp_path):
    begun, old = make_run(tmp_path, "begun"), make_run(tmp_path, "old")
    (begun / "events.jsonl").unlink()
    (old / ".lock").unlink()
    delete_run(begun)
    delete_run(old)
    assert list(tmp_path.iterdir()) == []


def test_a_live_run_is_refused(tmp_path):
    folder = make_run(tmp_path, "live")
    with held(folder):
        assert "another process trains" in refused(folder)
    delete_run(folder)


def test_the_lock_is_held_while_it_goes(tmp_path, monkeypatch):
    folder = make_run(tmp_path, "run")
    seen = []

    def look(path):
        with pytest.raises(ReidError), held(path):
            pass
        seen.append(path)

    monkeypatch.setattr("core.run_delete.shutil.rmtree", look)
    delete_run(folder)
    assert [path.parent for path in seen] == [tmp_path]
    assert not folder.exists()


def test_a_link_to_a_run_is_refused(tmp_path):
    real = make_run(tmp_path / "elsewhere", "real")
    link = tmp_path / "runs" / "link"
    link.parent.mkdir()
    link.symlink_to(real)
    assert "link" in refused(link)
    assert (real / "profile.toml").exists()


def test_what_links_lead_to_stays(tmp_path):
    folder = make_run(tmp_path / "runs", "run")
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "weights.pth").write_text("dear")
    (folder / "linked").symlink_to(treasure)
    (folder / "checkpoints" / "weights.pth").symlink_to(treasure / "weights.pth")
    delete_run(folder)
    assert not folder.exists()
    assert (treasure / "weights.pth").read_text() == "dear"


def test_a_lock_that_leads_elsewhere_is_refused(tmp_path):
    folder = make_run(tmp_path, "run")
    (folder / ".lock").unlink()
    (folder / ".lock").symlink_to(tmp_path / "made-by-opening")
    assert "lock" in refused(folder)
    assert not (tmp_path / "made-by-opening").exists()


@pytest.mark.parametrize("missing", [["profile.toml"], [".lock", "events.jsonl"]])
def test_folders_that_are_no_runs_are_refused(tmp_path, missing):
    folder = make_run(tmp_path, "run")
    for name in missing:
        (folder / name).unlink()
    assert "not a run folder" in refused(folder)


def test_a_profile_that_is_a_folder_or_a_link_makes_no_run(tmp_path):
    folder = make_run(tmp_path, "run")
    (folder / "profile.toml").rename(tmp_path / "profile.toml")
    (folder / "profile.toml").symlink_to(tmp_path / "profile.toml")
    assert "not a run folder" in refused(folder)


def test_what_holds_other_runs_is_refused(tmp_path):
    outer = make_run(tmp_path, "outer")
    make_run(outer, "inner")
    assert "other runs" in refused(outer)


def test_what_the_person_stands_in_is_refused(tmp_path, monkeypatch):
    folder = make_run(tmp_path, "run")
    monkeypatch.chdir(folder / "checkpoints")
    assert "present folder" in refused(folder)


def test_files_missing_folders_and_relative_paths_are_refused(tmp_path, monkeypatch):
    make_run(tmp_path, "run")
    monkeypatch.chdir(tmp_path)
    assert why_not(Path("run"))
    assert why_not(tmp_path / "nowhere")
    assert why_not(tmp_path / "run" / "profile.toml")
    assert not why_not(tmp_path / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    folder = make_run(tmp_path, "run")
    tmp_path.chmod(0o500)
    try:
        assert "nothing of it is deleted" in refused(folder)
    finally:
        tmp_path.chmod(0o700)


def test_what_cannot_be_removed_is_told_with_its_place(tmp_path, monkeypatch):
    folder = make_run(tmp_path, "run")

    def fail(path):
        raise PermissionError(13, "Permission denied", str(path / "checkpoints"))

    monkeypatch.setattr("core.run_delete.shutil.rmtree", fail)
    with pytest.raises(ReidError) as error:
        delete_run(folder)
    [left] = tmp_path.iterdir()
    assert str(left) in error.value.message
    assert "Permission denied" in error.value.message
    assert run_folders(tmp_path) == []  # it is listed no more

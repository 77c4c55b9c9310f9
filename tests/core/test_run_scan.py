"""All runs again and again: what changed is read, and nothing else."""

from __future__ import annotations

import os
import shutil

from core.run_lock import held
from core.run_scan import RunScan, folder_bytes
from core.run_summary import summarize
from tests.listed_runs import make_run


class Counting:
    def __init__(self):
        self.read = []

    def __call__(self, folder):
        self.read.append(folder.name)
        return summarize(folder)


def test_only_what_has_changed_is_read_again(tmp_path):
    for name in ("a", "b", "c"):
        make_run(tmp_path, name)
    reader = Counting()
    scan = RunScan(tmp_path, reader)
    first = scan.look()
    assert sorted(reader.read) == ["a", "b", "c"]
    reader.read.clear()
    assert all(new is old for new, old in zip(scan.look(), first, strict=True))
    assert reader.read == []
    with (tmp_path / "b" / "metrics.csv").open("a") as file:
        file.write("x\n")
    scan.look()
    assert reader.read == ["b"]
    with held(tmp_path / "c"):
        assert next(row for row in scan.look() if row.folder.name == "c").summary.live
    assert reader.read == ["b", "c"]
    assert not any(row.summary.live for row in scan.look())
    assert reader.read == ["b", "c", "c"]


def test_runs_that_come_and_go(tmp_path):
    make_run(tmp_path, "a")
    scan = RunScan(tmp_path)
    assert [row.folder.name for row in scan.look()] == ["a"]
    make_run(tmp_path, "b")
    assert {row.folder.name for row in scan.look()} == {"a", "b"}
    shutil.rmtree(tmp_path / "a")
    assert [row.folder.name for row in scan.look()] == ["b"]


def test_a_new_checkpoint_changes_the_size(tmp_path):
    folder = make_run(tmp_path, "a")
    scan = RunScan(tmp_path)
    [before] = scan.look()
    (folder / "checkpoints" / "LAST.pth").write_bytes(bytes(5000))
    [after] = scan.look()
    assert after.size == before.size + 5000


def test_the_size_counts_what_would_be_free(tmp_path):
    folder = make_run(tmp_path, "a", checkpoint=3000)
    size = folder_bytes(folder)
    assert size == sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    (tmp_path / "big").write_bytes(bytes(100_000))
    (folder / "link").symlink_to(tmp_path / "big")
    assert folder_bytes(folder) < size + 1000
    os.link(folder / "checkpoints" / "a_BEST.pth", folder / "checkpoints" / "same.pth")
    assert folder_bytes(folder) < size + 1000
    assert folder_bytes(tmp_path / "nowhere") == 0

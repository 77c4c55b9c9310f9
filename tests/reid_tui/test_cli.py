"""The command line as a process: what it prints, how it ends, what it leaves."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def command(tmp_path, tiny_set):
    """Run `reid-tui` in an empty folder, without a terminal."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "COLUMNS": "80",
    }
    (tmp_path / "tiny.toml").write_text(
        f'[data]\nroot = "{tiny_set}"\nimage_size = [32, 32]\n[model]\nname = "RN-tiny"\n'
        '[run]\ndevice = "cpu"\n[train]\nepochs = 2\nbatch_size = 8\nearly_stop_patience = 0\n'
    )

    def start(
        *arguments: str, python: Sequence[str] = ("-m", "reid_tui"), terminal: int | None = None
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *python, *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.PIPE if terminal is None else terminal,
            text=True,
        )

    return start


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_without_a_terminal_it_prints_a_line_per_epoch_and_a_table(command, tmp_path):
    code, out, err = ended(command("launch", "tiny.toml", "--set", "run.name=mine"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines if re.match(r"baseline|epoch \d", line)] == ["baseline", "epoch", "epoch"]
    assert sum(bool(re.match(r" +\*?[012] ", line)) for line in lines) == 3
    [titles] = [line for line in lines if "mINP" in line]
    assert "train R-1" in titles
    assert len(titles) <= 80
    assert not re.search(r"\x1b", out)
    [run] = (tmp_path / "runs").iterdir()
    assert run.name.startswith("mine_RN-tiny_")
    kinds = {path.stem.rsplit("_", 1)[1] for path in (run / "checkpoints").iterdir()}
    assert kinds == {"BEST", "FINAL", "LAST", "LAST-previous"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_after_the_batch_and_it_is_saved(command, tmp_path, number):
    process = command("launch", "tiny.toml", "--headless", "--set", "train.epochs=1000")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 1 "):
            break
    process.send_signal(number)
    code, out, _ = ended(process)
    assert code == 0
    assert f"stopped by {number.name}" in out
    assert list(tmp_path.glob("runs/*/checkpoints/*_FINAL.pth"))


def test_however_many_signals_come_it_is_saved_and_the_exit_code_is_0(command, tmp_path):
    process = command("launch", "tiny.toml", "--headless", "--set", "train.epochs=1000")
    for line in process.stdout:
        if line.startswith("epoch 1 "):
            break
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    assert ended(process)[0] == 0
    for kind in ("LAST", "FINAL"):
        [path] = tmp_path.glob(f"runs/*/checkpoints/*_{kind}.pth")
        torch.load(path, weights_only=True)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_job_that_is_to_be_put_back_into_the_queue(command, tmp_path, number):
    process = command("launch", "tiny.toml", "--requeue", "--set", "train.epochs=1000")
    for line in process.stdout:
        if line.startswith("epoch 1 "):
            break
    process.send_signal(number)
    assert ended(process)[0] == 75
    done = len(next(tmp_path.glob("runs/*/metrics.csv")).read_text().splitlines()) - 2
    assert ended(command("resume", "--requeue", "--set", f"train.epochs={done + 1}"))[0] == 0


def test_without_a_reader_it_trains_on(command, tmp_path):
    process = command("launch", "tiny.toml")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()  # as `| head -1` does
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(120) == 0
    assert list(tmp_path.glob("runs/*/checkpoints/*_FINAL.pth"))


def test_without_its_terminal_it_trains_on(command, tmp_path):
    master, slave = pty.openpty()
    # The terminal controls the program, so its end is told by SIGHUP.
    attach = "import fcntl, os, runpy, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    code = attach + "sys.argv[0] = 'reid-tui'; runpy.run_module('reid_tui', run_name='__main__', alter_sys=True)"
    process = command(
        "launch", "tiny.toml", "--headless", "--set", "train.epochs=6", python=("-c", code), terminal=slave
    )
    os.close(slave)
    shown = b""
    while b"epoch 1 " not in shown:
        shown += os.read(master, 4096)
    os.close(master)
    assert process.wait(120) == 0
    [log] = tmp_path.glob("runs/*/run.log")
    assert "epoch 6" in log.read_text()
    assert list(tmp_path.glob("runs/*/checkpoints/*_FINAL.pth"))


def test_a_stopped_run_is_resumed_by_name_by_path_or_as_the_latest(command, tmp_path):
    process = command("launch", "tiny.toml", "--set", "train.epochs=1000")
    for line in process.stdout:
        if line.startswith("epoch 1 "):
            break
    process.send_signal(signal.SIGUSR1)
    for line in process.stdout:
        if "LAST saved" in line:
            break
    process.send_signal(signal.SIGTERM)
    code, out, _ = ended(process)
    [run] = (tmp_path / "runs").iterdir()
    assert code == 0 and f"go on with: reid-tui resume {run.name.rpartition('_')[2]}\n" in out
    done = len((run / "metrics.csv").read_text().splitlines()) - 2
    for number, arguments in enumerate(([run.name], [str(run)], []), 1):
        code, out, err = ended(command("resume", *arguments, "--set", f"train.epochs={done + number}"))
        assert (code, err) == (0, "")
        before, _, after = out.partition(" so far ")
        assert f"epoch {done + number - 1} " in before and f"epoch {done + number} " in after
        assert "go on with" not in out
    files = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    code, out, _ = ended(command("resume"))
    assert code == 0 and f"{run.name} has done all of its {done + 3} epochs; for more of them: reid-tui resume " in out
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == files
    assert ended(command("resume", "--set", "train.lr=1"))[0] == 2
    code, _, err = ended(command("resume", "absent"))
    assert code == 1 and "No such run" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["launch"], 2, "reid-tui: without a screen there is no picker (standard input is not a terminal)"),
        (["launch", "--headless"], 2, "reid-tui: without a screen there is no picker (--headless)"),
        (["launch", "absent"], 2, "no profile of that name"),
        (["launch", "absent.toml"], 2, "no such file"),
        (["launch", "tiny.toml", "--set", "train.epochs=0"], 2, "--set train.epochs=0: train.epochs: input should be"),
        (["launch", "tiny.toml", "--set", "run.device=cuda:7"], 1, ""),
        (["profiles", "--profiles", "nowhere"], 2, "no such folder"),
        ([], 2, ""),
    ],
)
def test_what_is_asked_wrongly_gets_one_clear_message(command, arguments, code, words):
    returned, out, err = ended(command(*arguments))
    assert returned == code
    assert words in err
    if "run.device=cuda:7" in arguments:
        assert "run.device is cuda:7, and torch sees" in out


def test_profiles_are_listed_and_shown(command):
    _, out, _ = ended(command("profiles"))
    assert {"demo", "market-1501"} <= {line.split()[0] for line in out.splitlines()}
    assert "no such folder: data/market-1501" in out
    listed = [line for line in out.splitlines() if line.endswith(".toml")]
    assert len({line.rindex("  ") for line in listed}) == 1  # one column, however long the names are
    _, out, _ = ended(command("profiles", "market-1501", "--set", "train.epochs=30"))
    assert "epochs = 30" in out and "triplet_margin = 0.3" in out


def test_help_is_quick_for_it_imports_neither_torch_nor_textual():
    code = "import sys, reid_tui.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: print(sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'argparse'" in modules
    for heavy in ("torch", "textual", "open_clip", "pydantic", "numpy"):
        assert f"'{heavy}'" not in modules


def test_the_wheel_holds_profiles_and_architectures(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    built_in = {f"core/builtin_profiles/{path.name}" for path in (REPOSITORY / "profiles").glob("*.toml")}
    assert built_in and built_in <= set(names)
    assert "core/models/RN-tiny.json" in names
    assert not [name for name in names if name.startswith(("tests", "docs"))]

"""Every error of a command ends in one sentence and an exit status; closed pipes are quiet."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.core import console, failures, files
from laureate.core.errors import LaureateError

NUMBERS = sorted(errno.errorcode)


@given(st.sampled_from(NUMBERS), st.sampled_from([None, "out.json", "a/b", "/", ".x.part", ""]))
def test_every_error_of_the_system_is_one_sentence(number: int, path: str | None) -> None:
    error = OSError(number, os.strerror(number), path) if path is not None else OSError(number, "said")
    text = failures.known(error, "train")
    if isinstance(error, BrokenPipeError):
        text = text or ""
    assert text
    assert "\n" not in text
    assert "Errno" not in text
    assert ".part" not in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x", "a.json"), ["a.json", "disk is full", "MB are free", "dvc gc"]),
        (OSError(errno.EROFS, "x", "a.json"), ["a.json", "read-only"]),
        (OSError(errno.EACCES, "x", "/etc"), ["/etc", "permission denied", "drwx"]),
        (OSError(errno.EISDIR, "x", "/tmp"), ["/tmp is a folder"]),
        (OSError(errno.ENAMETOOLONG, "x", "y" * 500), ["too long", "..."]),
        (MemoryError(), ["more memory", "train.batch"]),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), ["memory"]),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), ["memory", "train.batch"]),
        (ModuleNotFoundError("no", name="openai_"), ["package openai_", "pip install"]),
        (KeyboardInterrupt(), ["interrupted"]),
    ],
)
def test_what_it_means_and_what_to_do(error: BaseException, words: list[str]) -> None:
    text = failures.known(error, "train")
    assert text is not None
    for word in words:
        assert word in text


def test_a_full_disk_names_the_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a.json").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space") as caught:
            files.write_text(tmp_path / "a.json", "new")
    assert caught.value.filename == str(tmp_path / "a.json")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


def test_a_folder_that_cannot_be_renamed_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = os.replace, []

    def second_fails(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error", str(source), None, str(target))
        replace(source, target)

    with files.fresh_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("old")
    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OSError, match="Input/output"), files.fresh_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("new")
    assert (tmp_path / "out/a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_whose_renaming_was_killed_is_found_again(tmp_path: Path) -> None:
    (tmp_path / ".out.before.part").mkdir()
    (tmp_path / ".out.before.part/a").write_text("old")
    with pytest.raises(ZeroDivisionError), files.fresh_folder(tmp_path / "out"):
        raise ZeroDivisionError
    assert (tmp_path / "out/a").read_text() == "old"


def laureate(words: str, root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a shell, with bash's `pipefail`."""
    command = f"set -o pipefail; {sys.executable} -m laureate {words}"
    return subprocess.run(
        ["bash", "-c", command], cwd=root, env=os.environ | environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("words", ["--help | true", "world | true", "plan --help | true"])
def test_a_closed_pipe_is_quiet(root: Path, words: str) -> None:
    done = laureate(words, root)
    assert done.returncode in (0, 141)  # 0 where all fitted into the pipe before it was closed
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        ("world > /dev/full", 1, "standard output cannot be written: No space left"),
        ("museum --port 99999", 2, "'99999' is not a port"),
        ("serve --port -1", 2, "is not a port"),
        ("world >&-", 0, ""),
        ("--params / plan", 2, "/ cannot be read"),
        ("doctor /no/such/folder", 1, "/no/such/folder is not a folder"),
    ],
)
def test_trouble_is_a_sentence(root: Path, words: str, status: int, sentence: str) -> None:
    done = laureate(words, root)
    assert done.returncode == status, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_an_ascii_terminal_gets_replaced_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with console.guarded():
        print("Öland \udcff 5 × 3")
        sys.stdout.flush()
    assert stream.buffer.getvalue() == b"?land ? 5 ? 3\n"  # type: ignore[attr-defined]


def test_the_log_goes_elsewhere_where_the_folder_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write_text

    def read_only(path: Path, text: str) -> None:
        if not Path(path).is_absolute():
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        write(path, text)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").touch()
    monkeypatch.setattr(failures, "write_text", read_only)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    log = failures.write_log(ZeroDivisionError("x"), ["train"])
    assert log is not None
    assert Path(log).expanduser().parent == tmp_path / "temporary"


def test_other_signals_pass() -> None:
    class Killed(BaseException):
        """Stands for a signal."""

    with pytest.raises(Killed):
        failures.report(Killed(), "train")


def test_a_closed_stderr_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stderr", Closed())
    with console.guarded():
        assert failures.report(LaureateError("x"), "train") == 1


TERMINATED = """
import sys, time
from laureate import cli
import laureate.stages.prepare as prepare
from laureate.core.files import fresh_folder
def run(params):
    with fresh_folder("out") as folder:
        (folder / "a").write_text("half")
        print("begun", flush=True)
        time.sleep(60)
prepare.run = run
sys.exit(cli.program())
"""


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (signal.SIGTERM, 143, "prepare was ended by the signal SIGTERM; run it again"),
        (signal.SIGINT, 130, "prepare was interrupted; run it again"),
    ],
)
def test_a_signal_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, number: int, status: int, words: str
) -> None:
    (tmp_path / "params.yaml").write_text("sample: {prompts: [p.yaml]}")
    (tmp_path / "p.yaml").write_text("- {id: a, text: A., set: seed}")
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{TERMINATED}"
    with subprocess.Popen(
        [sys.executable, "-c", code, "prepare"], cwd=tmp_path, stdout=-1, stderr=-1, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == status, said
    assert words in said
    assert "Traceback" not in said
    assert {path.name for path in tmp_path.iterdir()} == {"params.yaml", "p.yaml"}

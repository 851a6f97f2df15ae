"""Virtual environments of peers that this service does without, each made when it is first needed."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from bench.experiment import Say
from credit_risk.serving.settings import PROJECT

LOCKS = PROJECT / "bench" / "peers" / "environments"
PLACE = PROJECT / ".venv-peers"
UV = Path(sys.executable).with_name("uv")


def environment_of(peer: str, say: Say) -> Path:
    """Give the folder of the commands of a peer, whose packages are locked in LOCKS, with those of this service."""
    lock, folder = LOCKS / f"{peer}.txt", PLACE / peer
    installed = folder / "installed"
    if not installed.exists() or installed.read_text() != lock.read_text():
        if not UV.exists():
            sys.exit("uv is not installed: run `make bench`, which installs it")
        say(f"Installing {peer} into {folder.relative_to(PROJECT)}")
        _uv("venv", "--clear", "--python", platform.python_version(), str(folder))
        _uv("pip", "install", "--python", str(folder), "--no-deps", "-r", str(lock))
        installed.write_text(lock.read_text())
    return folder / "bin"


def mlserver_environment(say: Say) -> Path:
    """The same of MLServer, which the tests need, too."""
    say("Seeing whether MLServer is installed")
    subprocess.run([str(PROJECT / ".ci" / "model-server")], cwd=PROJECT, check=True)
    return PROJECT / ".venv-mlserver" / "bin"


def _uv(*command: str) -> None:
    subprocess.run([str(UV), *command, "--quiet"], check=True)

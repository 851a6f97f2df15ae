"""What the parent process hands to its workers, also to those that start much later: a file without a name.

A worker does not read the files of keys, policy and catalogue itself: they may have changed since the service was
started, and two workers would decide differently. The file is mapped into memory, and its first number says where the
rulebook in force begins. To change that number changes the rulebook in all workers at the same moment.
"""

from __future__ import annotations

import logging
import mmap
import os
from collections.abc import Callable
from ctypes import c_uint64
from typing import Self

from credit_risk.contract.errors import ModelError, StartupError
from credit_risk.model.store import StoredModel
from credit_risk.serving.limits import SIZE, Limits, nameless_file
from credit_risk.serving.rulebook import Rulebook

logger = logging.getLogger("bentoml.credit_risk")

VARIABLE = "_CREDIT_RISK_HANDOVER"  # the file's descriptor, the process whose children inherit it, the model's digest
MAPPED = mmap.PAGESIZE
COUNTS = MAPPED  # where those of limits begin
CONTENT = COUNTS + SIZE
LENGTH = 8  # bytes of the length before each rulebook


class Handover:
    """The file. The parent alone writes to it."""

    def __init__(self, descriptor: int, parent: int, digest: str) -> None:
        """`digest` is that of the model."""
        self.parent = parent
        self._digest = digest
        self._descriptor = descriptor
        self.limits = Limits(descriptor, COUNTS)
        self._place = c_uint64.from_buffer(mmap.mmap(descriptor, MAPPED))

    @classmethod
    def create(cls, rulebook: Rulebook, model: StoredModel) -> Self:
        """Make the file in the parent process, for the children that it will have."""
        descriptor = nameless_file(CONTENT)
        os.set_inheritable(descriptor, True)
        os.environ[VARIABLE] = f"{descriptor}:{os.getpid()}:{model.digest}"
        handover = cls(descriptor, os.getpid(), model.digest)
        handover.publish(rulebook)
        return handover

    @classmethod
    def inherited(cls) -> Self | None:
        """Find the file in a child process. Answers None in any other."""
        value = os.environ.get(VARIABLE)
        if not value:
            return None
        descriptor, parent, digest = value.split(":")
        is_child = int(parent) == os.getppid() and _is_nameless(int(descriptor))  # else it is no worker
        return cls(int(descriptor), int(parent), digest) if is_child else None

    def check_model(self, model: StoredModel) -> None:
        """Raise ModelError if this is another model than the parent has checked, even under the same tag."""
        if model.digest != self._digest:
            raise ModelError(f"model {model.tag} was replaced after the service was started; restart the service")

    @property
    def place(self) -> int:
        """Where the rulebook in force begins; a new one begins elsewhere. It costs a look into memory."""
        return self._place.value

    def publish(self, rulebook: Rulebook) -> None:
        """Put a rulebook in force."""
        content = rulebook.model_dump_json().encode()
        place = os.fstat(self._descriptor).st_size
        os.pwrite(self._descriptor, len(content).to_bytes(LENGTH) + content, place)
        self._place.value = place

    def reload(self, load: Callable[[], Rulebook]) -> None:
        """Read the files of the rulebook anew, and put it in force in all workers at once, or else in none.

        `load` reads them, or raises StartupError. One line of the log tells what has changed, or why nothing did.
        """
        try:
            new = load()
        except StartupError as error:
            logger.error("Nothing was reloaded, and what was in force stays: %s", error)
            return
        changes = self.read(self.place).changes_to(new)
        if changes:
            self.publish(new)
        logger.info("Reloaded: %s", "; ".join(changes) or "nothing has changed")

    def read(self, place: int) -> Rulebook:
        """Read the rulebook that begins there."""
        length = int.from_bytes(os.pread(self._descriptor, LENGTH, place))
        return Rulebook.model_validate_json(os.pread(self._descriptor, length, place + LENGTH))


def _is_nameless(descriptor: int) -> bool:
    try:
        return os.fstat(descriptor).st_nlink == 0
    except OSError:
        return False

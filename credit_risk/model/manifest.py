"""The manifest of a saved model: the sha256 of each of its files, and one digest over all of them.

It detects accident and carelessness: a file that is lost or damaged, two names that were swapped, a card that was
edited. It does not detect a forger, because whoever can rewrite the folder can rewrite the manifest too.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel

MANIFEST_FILE = "manifest.json"
# All that a decision or a served page depends on. The pickle is covered as it lies on disk, because serving never
# unpickles it. BentoML copies model.yaml byte by byte when it moves a model, so no number in it is written anew.
FILES = {
    "model.yaml": "the names of the features and other metadata",
    "saved_model.ubj": "the booster",
    "custom_objects.pkl": "the vectorizer",
    "report/model-card.html": "the model card",
    "report/model-card.json": "the figures of the model card",
}


class Manifest(BaseModel, frozen=True, extra="forbid"):
    """What a model's folder held when it was saved."""

    digest: str  # of `files`, so that changing a file and its own sha256 is not enough
    files: dict[str, str]  # the sha256 of each file

    @classmethod
    def of(cls, folder: Path) -> Manifest:
        """Describe the model in a folder as it is now."""
        files = {name: sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
        return cls(digest=_digest_of(files), files=files)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read what was saved with the model. Raises OSError or ValueError."""
        return cls.model_validate_json((folder / MANIFEST_FILE).read_bytes())

    def write(self, folder: Path) -> None:
        (folder / MANIFEST_FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def faults_of(self, folder: Path) -> list[str]:
        """Name each file of the folder that is not the one that was saved, and what it holds."""
        faults = [] if self.digest == _digest_of(self.files) else [f"{MANIFEST_FILE} was changed"]
        for name, content in FILES.items():
            path = folder / name
            if not path.is_file():
                faults.append(f"{name} ({content}) is missing")
            elif sha256(path.read_bytes()).hexdigest() != self.files.get(name):
                faults.append(f"{name} ({content}) was changed")
        return faults


def _digest_of(files: dict[str, str]) -> str:
    return sha256("".join(f"{files[name]}  {name}\n" for name in sorted(files)).encode()).hexdigest()

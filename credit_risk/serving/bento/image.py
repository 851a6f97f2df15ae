"""The image that `bentoml containerize` makes of the bento: two stages, of which only the second is kept."""

from __future__ import annotations

from pathlib import Path

from bentoml.images import Image

BASE_IMAGE = "python:3.11-slim"


def slim_image(deploy: Path) -> Image | None:
    """Describe the image with the files in `deploy`. Answers None inside a bento, which has its image already.

    BentoML's template has a single stage. Its last command may span lines, though, and these lines begin another stage
    that takes the installed packages from the first and leaves uv, caches and headers behind.
    """
    if not deploy.is_dir():
        return None
    requirements = (deploy / "requirements.txt").read_text().splitlines()
    image = Image(base_image=BASE_IMAGE, distro="none", lock_python_packages=False)  # none: no compiler, no git
    image.python_packages(*(line for line in requirements if line[:1].isalnum()))
    return image.run((deploy / "final-stage.Dockerfile").read_text())

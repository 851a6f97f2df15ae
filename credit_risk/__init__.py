"""Credit decisions: an application in; APPROVED, MAYBE or DECLINED out, with the reasons.

>>> from credit_risk import decide, load, train

docs/python.md says how to use them. They are imported when they are first asked for, because what needs only a part
of this package must not wait for all of it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from credit_risk.library import DataError, Model, ModelError, ReleaseError, decide, load, train

__version__ = "0.2.0"
__all__ = ["DataError", "Model", "ModelError", "ReleaseError", "__version__", "decide", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from credit_risk import library

    return getattr(library, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

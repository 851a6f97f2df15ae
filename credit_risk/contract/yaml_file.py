"""Read a YAML file as a validated object."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from credit_risk.contract.errors import CreditRiskError

T = TypeVar("T", bound=BaseModel)


class _OnceEach(yaml.SafeLoader):
    """A loader that refuses duplicate keys. PyYAML itself would silently take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"{key} is given more than once")
        return super().construct_mapping(node, deep)


def load_yaml(path: Path, model: type[T], error_of: Callable[[str], CreditRiskError]) -> T:
    """Read a file as this model. Raises the error that `error_of` makes of a short description of the fault."""
    try:
        return model.model_validate(yaml.load(path.read_text(encoding="utf-8"), _OnceEach))
    except OSError as error:
        raise error_of(f"can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise error_of(f"is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise error_of(f"is not valid: {faults}") from None

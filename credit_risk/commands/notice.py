"""The notice of adverse action that a creditor sends to an applicant, from a template."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from credit_risk.contract.catalogue import MAX_REASONS
from credit_risk.contract.decision import Reason
from credit_risk.contract.errors import DataError
from credit_risk.record.history import History
from credit_risk.replay.dossier import Dossier, Told, printable

TEMPLATE = Path(__file__).with_name("notice.txt.j2")
CREDITOR = "[name and address of the creditor]"
AGENCY = "[name and address of the federal agency]"
PLAIN = ("txt", "txt.j2", "md", "md.j2")  # what needs no escaping
GIVEN = "a template is given decision, reasons, creditor, agency and today"


def notice_of(dossier: Dossier, template: Path, creditor: str, agency: str) -> str:
    """Render the notice of a decision.

    What comes from callers is printable, and escaped unless the template's name says that it is plain text.

    Raises DataError if no notice is due, if reasons have no texts, or if the template fails.
    """
    record, history = dossier.entry.record, dossier.history
    check_adverse(history)
    reasons: Sequence[Told | Reason] = history.reviews[-1].reasons if history.reviews else dossier.reasons
    untold = [reason.code for reason in reasons if reason.text is None]
    if untold or not reasons:
        fault = f"has no text for {', '.join(untold)}" if untold else "has no reasons on record"
        needed = "and a notice must name the principal reasons (12 CFR 1002.9(b)(2))"
        raise DataError(f"decision {record.decision_id} {fault}, {needed}", dossier.missing)
    content = {
        "decision": _printable(record.model_dump()),
        "reasons": [reason.text for reason in reasons[:MAX_REASONS]],
        "creditor": creditor,
        "agency": agency,
        "today": date.today(),  # noqa: DTZ011 - that of the creditor
    }
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(template.parent),
        autoescape=select_autoescape((), PLAIN, default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        return environment.get_template(template.name).render(content)
    except TemplateNotFound as error:
        raise DataError(f"there is no template {template.parent / str(error.name)}") from None
    except TemplateError as error:
        fault = str(error.message).rstrip(".") + (f" in line {error.lineno}" if hasattr(error, "lineno") else "")
        raise DataError(f"template {template} can't be rendered: {fault}; {GIVEN}") from None
    except Exception as error:  # of the template's own doing; what it says may be about the applicant
        raise DataError(f"template {template} can't be rendered: it raises a {type(error).__name__}; {GIVEN}") from None


def check_adverse(history: History) -> None:
    """Raise DataError unless the decision stands as adverse, so that a notice of it is due."""
    decision_id = history.decision.decision_id
    if history.status == "APPROVED":
        by_whom = " by a person's review" if history.reviews else ""
        raise DataError(f"decision {decision_id} is APPROVED{by_whom}: no notice of adverse action is due")
    if history.status == "MAYBE":
        raise DataError(
            f"decision {decision_id} is MAYBE, which is not adverse yet (Regulation B, 12 CFR 1002.9): a person has to "
            "decide first; put the review on record with `python -m credit_risk review`"
        )


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _printable(content) for key, content in value.items()}
    if isinstance(value, list):
        return [_printable(content) for content in value]
    return printable(value) if isinstance(value, str) else value

"""What the service answers: a status, the probability behind it, the reasons, and what decided."""

from __future__ import annotations

import math
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from credit_risk.contract.warning import ApplicationWarning

Status = Literal["APPROVED", "MAYBE", "DECLINED"]
STATUSES: tuple[Status, ...] = get_args(Status)  # each is more careful than the one before

POINTS_TO_DOUBLE_ODDS = 20
BASE_POINTS = 600
BASE_ODDS = 50  # good to bad, at BASE_POINTS
_FACTOR = POINTS_TO_DOUBLE_ODDS / math.log(2)
_OFFSET = BASE_POINTS - _FACTOR * math.log(BASE_ODDS)


def score_of(margin: float) -> int:
    """Convert a margin (log odds of default) into scorecard points.

    600 points are odds of 50 good to 1 bad, and 20 more points double the odds. This is the usual scaling of
    scorecards (Siddiqi, Credit Risk Scorecards, 2006, chapter 6). A probability of default of 0.3 is 512 points, and
    0.5 is 487.
    """
    return round(_OFFSET - _FACTOR * margin)


class Reason(BaseModel):
    """A principal reason why an application was not approved."""

    model_config = ConfigDict(frozen=True)

    code: Annotated[str, Field(examples=["R02"])]
    text: Annotated[str, Field(examples=["Insufficient assets"])]


class Decision(BaseModel):
    """The answer to one application."""

    model_config = ConfigDict(frozen=True)

    Status: Annotated[Status, Field(description="MAYBE asks for a person's review.", examples=["DECLINED"])]
    probability_of_default: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Rounded to 4 places. The status was decided on the unrounded probability.",
            examples=[0.6312],
        ),
    ]
    score: Annotated[
        int, Field(description="Points: 600 at odds of 50 to 1; 20 more points double the odds.", examples=[472])
    ]
    reasons: Annotated[
        list[Reason], Field(description="Up to four reasons for MAYBE or DECLINED, the strongest first.")
    ]
    warnings: Annotated[list[ApplicationWarning], Field(description="What is odd about the application.")]
    decision_id: Annotated[
        str, Field(description="Unique; sorts by time.", examples=["019a9f3c-6c1e-7bd3-8f5a-3f1f7a0c9a41"])
    ]
    model: Annotated[str, Field(description="Tag of the model.", examples=["credit_risk_model:kq3f2lgo2k6tqaav"])]
    policy: Annotated[
        str, Field(description="Version of the policy: the start of its content's hash.", examples=["1f0c9d3ab2e4"])
    ]
    reference: Annotated[
        str | None,
        Field(
            description="The lender's own id of the application, if it was sent.",
            examples=["A-2026-0017"],
            exclude_if=lambda reference: reference is None,
        ),
    ] = None

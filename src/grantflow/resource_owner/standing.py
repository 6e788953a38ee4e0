"""The rule of consent (pure): where a question stands for the person who looks at it."""

from datetime import datetime
from enum import Enum, auto

from grantflow.resource_owner.records import Question


class Standing(Enum):
    OPEN = auto()
    """It waits for this person's answer."""
    DECIDED = auto()
    """This person has decided, and the integration has not been told yet: a double click, or the way back."""
    ANSWERED = auto()
    """The integration has its answer."""
    SOMEBODY_ELSES = auto()
    """Another person has decided it."""
    EXPIRED = auto()


def standing(question: Question, person_id: str | None, *, now: datetime) -> Standing:
    """`person_id` is None where nobody is signed in yet."""
    if question.decided_by is not None and person_id is not None and question.decided_by != person_id:
        return Standing.SOMEBODY_ELSES
    if question.answered_at is not None:
        return Standing.ANSWERED
    if question.expires_at <= now:
        return Standing.EXPIRED
    return Standing.DECIDED if question.decision is not None else Standing.OPEN

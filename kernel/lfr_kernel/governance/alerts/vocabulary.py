"""The words in which people say what they saw and did: closed lists, so that it can be counted.

There is none for a covered face or for refused fingerprints: neither is a reason for anything. What a pack lists
(powers, ethnic groups) is in `Handling`.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["AgeBand", "Cause", "Force", "Grounds", "Known", "Outcome", "Proof", "Reason", "Sex", "Truth", "Verdict"]


class Verdict(StrEnum):
    """What somebody makes of an alert after looking at it."""

    DISMISS = "dismiss"
    ENGAGE = "engage"


class Truth(StrEnum):
    """Whether the right person was recognised, and nothing else. Dismissed is not the same as false."""

    TRUE = "true"
    FALSE = "false"
    NOT_ESTABLISHED = "not-established"


class Proof(StrEnum):
    """How that is known."""

    DOCUMENT = "document"
    BIOMETRIC = "biometric"
    """Fingerprints, as a rule."""
    KNOWN_PERSON = "known-person"
    """Somebody there knows the person."""
    SAID_SO = "said-so"
    """The person said so themselves."""
    COMPARED_IMAGES = "compared-images"
    """Only the pictures were looked at again."""
    NOT_KNOWN = "not-known"


class Grounds(StrEnum):
    """Whether the grounds for the listing still stood when a person was recognised."""

    VALID = "valid"
    EXPIRED = "expired"
    NONE = "none"
    NOT_RECORDED = "not-recorded"


class Outcome(StrEnum):
    """What came of a decision to engage."""

    ARREST = "arrest"
    OTHER_LAWFUL = "other-lawful-outcome"
    NO_POWER = "no-power-to-act"
    NO_FURTHER_ACTION = "no-further-action"
    NOT_FOUND = "not-found"
    """Nobody was engaged: the person had gone."""


class Cause(StrEnum):
    """Why the wrong person was proposed."""

    LIGHT = "light"
    ANGLE = "angle"
    OCCLUSION = "occlusion"
    LOW_QUALITY = "low-quality"
    LOOK_ALIKE = "look-alike"
    TWIN_OR_KIN = "twin-or-kin"
    LIST_ERROR = "list-error"


class Force(StrEnum):
    """Force that was used on somebody."""

    NONE = "none"
    HANDCUFFS = "handcuffs"
    PHYSICAL = "physical"
    EQUIPMENT = "equipment"


class Sex(StrEnum):
    """As recorded by a person."""

    FEMALE = "female"
    MALE = "male"
    NOT_RECORDED = "not-recorded"


class AgeBand(StrEnum):
    """As recorded by a person, in years."""

    UNDER_18 = "under-18"
    FROM_18 = "18-24"
    FROM_25 = "25-34"
    FROM_35 = "35-49"
    FROM_50 = "50-64"
    FROM_65 = "65-and-over"
    NOT_RECORDED = "not-recorded"


class Known(StrEnum):
    """How sex, age band or ethnicity of somebody is known. Software never infers any of them."""

    SELF_DEFINED = "self-defined"
    OBSERVED_IN_PERSON = "observed-in-person"
    OBSERVED_FROM_IMAGE = "observed-from-image"
    NOT_RECORDED = "not-recorded"


class Reason(StrEnum):
    """Why somebody looks at an alert's pictures, or hands it on."""

    ASSESS = "assess"
    ENGAGE = "engage"
    COMPLAINT = "complaint"
    SUBJECT_ACCESS = "subject-access"
    SUPERVISION = "supervision"
    INVESTIGATION = "investigation"
    COURT = "court"

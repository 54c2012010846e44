"""Verify an exported audit with this file, Python 3.11 and `cryptography`. Exit codes: 0 all fits, 1 not, 2 misused."""

import argparse
import hashlib
import json
import re
import sys
from base64 import b64decode
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PREFIX = b"lfr-audit-1\0"
ANCHOR = re.compile(r"lfr-anchor 1 (\S+) (\d{1,15}) ([0-9a-f]{64}) (\S+)\Z")
moment = datetime.fromisoformat
ROLES = """installation: founded recovered capture_started capture_stopped end_is_near entry_expired clock_jumped wiped
installation: threshold_in_force deployment_ended alert_raised alert_delivered alert_undeliverable assessments_revealed
installation: basis_judged alerts_suspended alerts_expired alerts_purged pictures_purged texts_purged record_signed
anybody: roster_installed packs_installed\nlist-builder: list_built\nreviewer: list_reviewed
authoriser: authorised authority_extended\noperator: deployment_opened deployment_unlocked alert_viewed
operator: alert_assessed assessment_committed alert_engaged alert_closed"""
SIGNERS = {act: role.strip(":") for role, *acts in map(str.split, ROLES.splitlines()) for act in acts}
NONE = "self-consistent only: no anchors given"
UNREADABLE = (LookupError, ArithmeticError, TypeError, ValueError, AttributeError, InvalidSignature, RecursionError)


class Result(NamedTuple):
    """What was found: `findings` is empty if all fits; `proved_entry` is what anchors prove, 0 if nothing."""

    findings: list[str]
    verdict: str
    notes: list[str]
    entries: int
    head: str
    organisation: str
    proved_entry: int


class _Log:  # what the log has said so far about who may sign; its methods raise ValueError for what does not fit
    def __init__(self, root: str | None) -> None:
        self.root, self.organisation, self.installation = root, "", ""
        self.machine, self.evolving, self.checkpoints, self.roster = b"", b"", 0, -1
        self.people, self.sessions = dict[str, Any](), dict[str, Any]()

    def learn(self, entry: dict[str, Any]) -> None:
        act, facts = entry["act"], entry.get("facts") or {}
        if (act == "founded") != (entry["n"] == 1):
            raise ValueError("`founded` is entry 1, and no other is")
        if act == "founded":
            self.organisation = facts["organisation"]
            if self.root not in (None, self.organisation):
                raise ValueError(f"it is of organisation {self.organisation}, not of {self.root}")
            certificate = _opened(facts["certificate"], "installation-certificate", self.organisation)
            self.installation, self.machine = certificate["installation"], bytes.fromhex(certificate["signing"])
            self.evolving = bytes.fromhex(facts["checkpoint"])
        if act in ("founded", "packs_installed"):
            _opened(facts["packs"], "packs", self.organisation)
        if act in ("founded", "roster_installed"):
            roster = _opened(facts["roster"], "roster", self.organisation)
            if roster["number"] <= self.roster:
                raise ValueError(f"roster {roster['number']} was installed after roster {self.roster}")
            self.roster, self.people = roster["number"], {one["name"]: one for one in roster["people"]}
        if act == "session_started":
            name = json.loads(b64decode(facts["certificate"]["payload"]))["person"]
            by = self.person(name, entry["at"])["signing"]
            session = _opened(facts["certificate"], "session-certificate", by) | {"by": by}
            if session["installation"] != self.installation:
                raise ValueError(f"the session of {name} is for installation {session['installation']}")
            self.sessions.setdefault(hashlib.sha256(bytes.fromhex(session["key"])).hexdigest()[:32], session)

    def key_for(self, entry: dict[str, Any]) -> bytes:
        by, role, session = "installation", SIGNERS.get(entry["act"]), self.sessions.get(entry["key"])
        public = self.machine if role in (by, "anybody") else b""
        if entry["act"] == "checkpoint":
            by, public = "checkpoint", self.evolving
            if entry["facts"]["checkpoint"] != self.checkpoints + 1:
                raise ValueError(f"expected checkpoint {self.checkpoints + 1}, got {entry['facts']['checkpoint']}")
        elif session is not None:
            by, public = f"person {session['person']}", bytes.fromhex(session["key"])
            person = self.person(session["person"], entry["at"])
            if person["signing"] != session["by"] or role not in (None, "anybody", *person["roles"]):
                raise ValueError(f"{session['person']} ended it, has another key by now, or not the role {role}")
            if not moment(session["starts"]) <= moment(entry["at"]) <= moment(session["ends"]):
                raise ValueError(f"the session was from {session['starts']} to {session['ends']}, not {entry['at']}")
        if not public or (entry["key"], entry["by"]) != (hashlib.sha256(public).hexdigest()[:32], by):
            raise ValueError(f"key {entry['key']} may not sign it")
        return public

    def person(self, name: str, at: str) -> dict[str, Any]:
        row: dict[str, Any] = self.people.get(name, {})
        past = [f"{k} {row[k]}" for k in ("expires", "revoked") if row.get(k) and moment(row[k]) <= moment(at)]
        if not row or past:
            raise ValueError(f"{name} was not in force by roster {self.roster}: {' and '.join(past) or 'not in it'}")
        return row

    def unsigned(self, entry: dict[str, Any], digest: str, signature: bytes) -> str:
        try:
            self.learn(entry)
            Ed25519PublicKey.from_public_bytes(self.key_for(entry)).verify(signature, PREFIX + bytes.fromhex(digest))
            self.sessions.get(entry["key"] if entry["act"] == "session_ended" else "", {}).update(by="")
            if entry["act"] == "checkpoint":
                self.checkpoints, self.evolving = self.checkpoints + 1, bytes.fromhex(entry["facts"]["next"])
        except UNREADABLE as error:
            return f"{entry.get('act')} by {entry.get('by')}: {str(error) or 'it does not hold'}"
        return ""


def verify(lines: list[str], anchors: list[str], root: str | None) -> Result:
    """Verify the lines of an export (with line feeds), with printed anchors and the organisation's key if given."""
    log, findings, digests, last, why = _Log(root.lower() if root else None), list[str](), {0: "0" * 64}, 0, ""
    found = _read(lines, findings)
    for entry, digest, signature in sorted(found, key=lambda one: int(one[0]["n"])):
        number = entry["n"]
        is_linked = number == last + 1 and entry.get("prev") == digests[last]
        if number > last + 1:
            findings.append(f"missing: entry {last + 1}" + (f" to {number - 1}" if number > last + 2 else ""))
        if why:
            findings.append(f"{'bad signature at' if is_linked else 'changed:'} entry {last} ({why})")
        elif number == last + 1 and not is_linked:
            findings.append(f"entry {number} does not follow entry {last}: one of the two was exchanged")
        last, digests[number], why = number, digest, log.unsigned(entry, digest, signature)
    findings += [f"bad signature at entry {last}, or it was changed ({why})"] if why else []
    findings += [] if last else ["there is no entry"]
    good = _compare(digests, last, log.installation, anchors, findings)
    told = "as given" if root else "as the log claims: compare it with the key that you know, or give --root"
    notes = [f"{last} entries, {log.checkpoints} checkpoints, head {digests[last]}"]
    notes += [f"organisation {log.organisation or 'unknown'} ({told})"]
    later = "later entries are only self-consistent" if good and last > good[1] else "there are no later entries"
    proof = f"proved up to anchor {good[0]} (entry {good[1]}, {good[2]}); {later}" if good else NONE
    verdict = f"NOT PROVED: {len(findings)} finding{'s' * (len(findings) > 1)}" if findings else proof
    proved = good[1] if good and not findings else 0
    return Result(findings, verdict, notes, last, digests[last], log.organisation, proved)


def _read(lines: list[str], findings: list[str]) -> list[tuple[dict[str, Any], str, bytes]]:
    found: list[tuple[dict[str, Any], str, bytes]] = []
    for place, line in enumerate(lines, 1):
        try:
            outer = json.loads(line)
            entry, body = json.loads(outer["body"]), PREFIX + outer["body"].encode()
            if found and entry["n"] <= found[-1][0]["n"]:
                findings.append(f"out of order: entry {entry['n']} comes after entry {found[-1][0]['n']}")
            found += [(entry | {"n": int(entry["n"])}, hashlib.sha256(body).hexdigest(), b64decode(outer["sig"]))]
        except UNREADABLE:
            what = "no entry: changed or damaged" if line.endswith("\n") else "incomplete: export it again"
            findings.append(f"line {place} is {what}")
    return found


def _compare(digests: dict[int, str], last: int, installation: str, anchors: list[str], findings: list[str]) -> Any:
    good: tuple[int, int, str] | None = None  # which anchor, entry and time of the last that fits
    found = [(k, ANCHOR.match(line.strip())) for k, line in enumerate(filter(str.strip, anchors), 1)]
    findings += [f"anchor {k} cannot be read" for k, match in found if match is None]
    for number, k, match in sorted((int(match[2]), k, match) for k, match in found if match is not None):
        since = f", and after anchor {good[0]}," if good else ""
        if match[1] != installation:
            findings.append(f"anchor {k} is of installation {match[1]}, the log of {installation or 'none'}")
        elif number > last:
            findings.append(f"anchor {k} says entry {number} existed, the log ends at {last}: cut short, or put back")
        elif digests.get(number) != match[3]:
            saw = f"entry {number} is not the one that anchor {k} saw"
            findings.append(f"{saw}: something at or before it{since} was rewritten")
        else:
            good = (k, number, match[4])
    return good


def _opened(envelope: Any, kind: str, public: str) -> dict[str, Any]:
    """Return what an envelope (DSSE) states if `public` has signed it. Raises ValueError."""
    body, named = b64decode(envelope["payload"]), f"application/vnd.lfr-kernel.{kind}+json".encode()
    message = b"DSSEv1 %d %s %d %s" % (len(named), named, len(body), body)
    for one in envelope["signatures"]:
        with suppress(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(b64decode(one["sig"]), message)
            return dict(json.loads(body))
    raise ValueError(f"its {kind} is not signed by {public}")


def _main() -> int:
    parser = argparse.ArgumentParser(description="Verify an exported audit of lfr-kernel.")
    parser.add_argument("export", type=Path, help="what `lfr-kernel audit export` wrote")
    parser.add_argument("--anchors", type=Path, help="printed anchors, one a line")
    parser.add_argument("--root", help="the organisation's public key, 64 hexadecimal digits")
    given = parser.parse_args()
    try:
        texts = [path.read_bytes().decode() if path else "" for path in (given.export, given.anchors)]
    except (OSError, ValueError) as error:
        parser.error(str(error))
    result = verify(texts[0].splitlines(keepends=True), texts[1].splitlines(), given.root)
    sys.stdout.write("\n".join([*result.notes, *result.findings, result.verdict]) + "\n")
    return 1 if result.findings else 0


if __name__ == "__main__":
    sys.exit(_main())

"""Send Tollgate a job and learn what became of it, from Python. To copy; it needs the package `redis`.

What it may rely on is in docs/protocol.md. It writes with one command, XADD, takes no lock, and everything in it may
be repeated: an id has one effect, however often it is sent.
"""

import binascii
import hashlib
import json
import re
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import redis

# Take the file from the release that your workers run.
LOOKUP = (Path(__file__).parents[2] / "docs" / "lookup.lua").read_text()
LOOKUP_SHA = hashlib.sha1(LOOKUP.encode()).hexdigest()

APPLIED = {"redeemed", "withdrawn", "transferred", "purchased", "reserved", "committed", "released", "extended", "returned", "exchanged", "paid", "paid_after_void"}
PENDING = {"held", "paying", "needs_review"}
TIMED_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
HOUR_MS = 3_600_000


@dataclass
class Outcome:
    """What became of a job: its class (applied, refused, pending, dead, expired or not_decided) and the cause."""

    kind: str
    code: str | None = None
    seq: int | None = None

    @property
    def is_final(self) -> bool:
        return self.kind not in ("pending", "not_decided")


class Tollgate:
    def __init__(self, client: redis.Redis, namespace: str = "tollgate"):
        """`client` decodes replies to text: `redis.Redis.from_url(url, decode_responses=True)`."""
        self.client = client
        tags = client.hget(f"{namespace}:meta", "tags")
        if not tags:
            raise RuntimeError(f"namespace {namespace} is not initialised: run `tollgate-producer init`")
        self.tags = tags.split()

    def send(self, job: dict, queue: str = "default") -> None:
        """Puts a job into its stream. If this raises, send the same job again: it counts once."""
        self.client.xadd(f"{self._tag(job)}:queue:{queue}", {"job": json.dumps(job)})

    def lookup(self, job: dict) -> Outcome:
        """What is known of a job now."""
        tag, job_id = self._tag(job), job["id"]
        keys = [f"{tag}:head", f"{tag}:parked", f"{tag}:receipts:kept"]
        nonce = uuid.uuid4().hex
        if TIMED_ID.fullmatch(job_id):
            hour = int(job_id.replace("-", "")[:12], 16) // HOUR_MS
            keys += [f"{tag}:receipts:{hour}", f"{tag}:hold:{job_id}"]
            args = [nonce, job_id, hour, 4]
        else:
            args = [nonce, job_id, "", ""]
        try:
            reply = self.client.evalsha_ro(LOOKUP_SHA, len(keys), *keys, *args)
        except redis.exceptions.NoScriptError:
            reply = self.client.eval_ro(LOOKUP, len(keys), *keys, *args)
        if reply[0] != nonce:
            raise RuntimeError("the reply answers another call")
        if reply[1] != "found":
            raise RuntimeError(f"{reply[1]}: {reply[2]}")
        return read(reply[3])

    def wait(self, job: dict, seconds: float) -> Outcome:
        """Asks until the outcome is final, or for `seconds`: then it answers how far the job has come."""
        deadline, pause = time.monotonic() + seconds, 0.005
        while True:
            outcome = self.lookup(job)
            if outcome.is_final or time.monotonic() + pause > deadline:
                return outcome
            time.sleep(pause)
            pause = min(pause * 2, 0.25)

    def _tag(self, job: dict) -> str:
        resource = job["campaign"] if job["kind"] == "redeem" else job["account"]
        crc = binascii.crc_hqx(resource.encode(), 0)  # CRC-16/XMODEM
        return self.tags[crc % len(self.tags)]


def read(text: str) -> Outcome:
    """The outcome that one text of the reply means."""
    match text.split(" "):
        case ["receipt", _, code, seq, *_]:
            kind = "applied" if code in APPLIED else "pending" if code in PENDING else "refused"
            return Outcome(kind, code, int(seq))
        case ["parked", "scheduled", *_]:
            return Outcome("pending", "scheduled")
        case ["parked", "dead", _, _, reason, *_]:
            return Outcome("dead", reason)
        case ["expired", *_]:
            return Outcome("expired", "id_expired")
        case ["none", *_] | ["parked", "queued", *_]:
            return Outcome("not_decided")
    raise RuntimeError(f"not understood: {text}")

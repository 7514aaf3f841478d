"""Redeems a coupon and waits for the outcome:  python3 examples/python/redeem.py CAMPAIGN CUSTOMER ID

Prints the outcome as JSON. Exit code 0: applied; 1: refused, dead or expired; 4: unknown, or not decided within
30 seconds.
REDIS_URL and TOLLGATE_NAMESPACE say where, as for Tollgate's own programs.
"""

import json
import os
import sys

import redis
from tollgate import Tollgate


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    _, campaign, customer, job_id = sys.argv
    url = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379"
    client = redis.Redis.from_url(url, decode_responses=True, socket_timeout=30)

    # The id comes from what causes the job, an order number say, so that a repeat is the same job.
    job = {"kind": "redeem", "id": job_id, "campaign": campaign, "customer": customer}
    try:
        tollgate = Tollgate(client, os.environ.get("TOLLGATE_NAMESPACE") or "tollgate")
        tollgate.send(job)
        outcome = tollgate.wait(job, seconds=30)
    except (redis.RedisError, RuntimeError) as error:
        # It may be on its way or not: only Redis knows.
        print(f"unknown: {error}; the same command again is safe", file=sys.stderr)
        return 4

    print(json.dumps({"id": job_id, "class": outcome.kind, "code": outcome.code, "seq": outcome.seq}))
    if not outcome.is_final:
        return 4
    return 0 if outcome.kind == "applied" else 1


sys.exit(main())

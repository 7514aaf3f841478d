//! Tollgate: Redis-backed settlement of jobs that spend something scarce.

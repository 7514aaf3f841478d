//! The list of scenarios, in the order of docs/chaos.md.

use super::{Bite, Ground, LOAD, Scenario, ms, scenario, topology};
use crate::run::counted::{STOLEN, UNHEARD};
use crate::run::fault::Fault;
use crate::run::workload::Load;

/// All of them, in the order of docs/chaos.md.
pub(in crate::run) fn all() -> Vec<Scenario> {
    let one = [workers(), redis(), ways(), locks_and_clocks(), refusals(), requests()].concat();
    [one, topology::all()].concat()
}

fn workers() -> Vec<Scenario> {
    use Fault::*;
    vec![
        scenario("worker-kill", "workers die at random", &["worker SIGKILL at random"])
            .fault(KillWorker, 250, 0)
            .fault(KillWithWork, 1_100, 0)
            .fault(SlowWay, 1_300, 900)
            .bites(Bite::Reclaim),
        Scenario {
            may_end: &["SIGABRT"],
            ..scenario(
                "worker-steps",
                "a worker dies at each step of a job",
                &["worker SIGKILL at each step of a job"],
            )
            .on(Ground::FailPoints)
            .pays()
            .fault(FailPoint, 220, 0)
            .bites(Bite::Counted("fail points hit"))
        },
        scenario(
            "worker-stop",
            "workers stand still past their claim",
            &["worker SIGSTOP past the claim idle time, just before settle"],
        )
        .fault(StopWorker, 900, 2_600)
        .bites(Bite::Reclaim),
        scenario(
            "bank-stall",
            "the bank stalls, and workers stand still between payout and post",
            &["worker SIGSTOP between payout and post"],
        )
        .pays()
        .fault(StallBank, 1_300, 700)
        .fault(StopWorker, 1_100, 2_600)
        .bites(Bite::Counted("payouts paid")),
        scenario("starvation", "busy neighbours take the CPU", &["CPU starvation of the worker"]).fault(
            StarveWorkers,
            1_500,
            1_100,
        ),
        Scenario {
            load: Load { file: 400, ..LOAD },
            ..scenario(
                "fleet-gone",
                "all workers are gone for a while, and much waits",
                &["all workers killed, started again later"],
            )
            .fault(KillAllWorkers, 2_400, 1_500)
            .bites(Bite::Reclaim)
        },
        Scenario {
            load: Load { backlog: 100_000, ..LOAD },
            ..scenario(
                "backlog",
                "the fleet is gone, and 100,000 jobs wait for it (5,000 in a smoke run)",
                &["all workers killed, started again later"],
            )
            .fault(Backlog, 600_000, 0)
            .bites(Bite::Counted("jobs sent to nobody"))
        },
        scenario(
            "sigterm",
            "workers are asked to end under load, twice, then killed",
            &["SIGTERM under load, twice, then SIGKILL"],
        )
        .fault(TermWorker, 700, 0)
        .fault(TermThenKill, 900, 0),
        scenario(
            "two-versions",
            "the commit before and this one side by side, exchanged under load",
            &["two versions of the worker"],
        )
        .on(Ground::TwoVersions)
        .fault(TermWorker, 600, 0),
    ]
}

fn redis() -> Vec<Scenario> {
    use Fault::*;
    vec![
        Scenario {
            appendfsync: "always",
            ..scenario(
                "redis-kill",
                "Redis dies and comes back, forced to disk before each answer",
                &["Redis kill -9, appendfsync always"],
            )
            .fault(KillRedis, 1_300, 200)
            .bites(Bite::Unknown)
        },
        Scenario {
            may_lose: true,
            ..scenario(
                "redis-kill-everysec",
                "Redis dies while its disk is slow",
                &["Redis kill -9, everysec, slow fsync"],
            )
            .on(Ground::SlowFsync)
            .fault(KillRedis, 1_600, 200)
            .bites(Bite::Counted("rollbacks"))
        },
        Scenario {
            appendfsync: "always",
            ..scenario(
                "redis-kill-rewrite",
                "Redis dies while it rewrites its file",
                &["Redis kill -9 during BGREWRITEAOF"],
            )
            .fault(KillRedisRewriting, 1_400, 200)
        },
        scenario(
            "scripts-gone",
            "Redis forgets its scripts again and again",
            &["Redis restart, scripts gone"],
        )
        .fault(FlushScripts, 300, 0),
        Scenario {
            may_lose: true,
            smoke: ms(5_000),
            ..scenario(
                "promotion",
                "a replica that lagged becomes the primary; what was lost is named",
                &["replica promoted while it lags"],
            )
            .fault(Promote, 2_600, 0)
            .bites(Bite::Counted("rollbacks"))
        },
        scenario("failover", "a planned change of the primary", &["planned failover"])
            .fault(Failover, 1_800, 0)
            .bites(Bite::Counted("promotions")),
        Scenario {
            may_lose: true,
            ..scenario("aof-tail", "the end of the append-only file is gone", &["AOF tail cut at any byte"])
                .fault(CutAofTail, 1_700, 0)
                .bites(Bite::Counted("rollbacks"))
        },
        Scenario {
            // Its data is put back at the end: what was sent to the empty Redis goes with it.
            may_lose: true,
            ..scenario(
                "empty-data",
                "Redis comes back with nothing, and later with its data",
                &["an empty data directory"],
            )
            .fault(EmptyData, 2_000, 800)
            .bites(Bite::Counted("rollbacks"))
        },
        scenario(
            "client-storm",
            "connections are killed, paused and reset",
            &["CLIENT KILL and CLIENT PAUSE storms"],
        )
        .fault(KillClients, 700, 0)
        .fault(PauseClients, 1_700, 0)
        .fault(ResetAll, 500, 0)
        .bites(Bite::Unknown),
        scenario("redis-stop", "Redis stands still", &["black hole, half-open in either direction"])
            .fault(StopRedis, 1_700, 900),
    ]
}

fn ways() -> Vec<Scenario> {
    use Fault::*;
    vec![
        Scenario {
            load: Load { unheard: Some(4), ..LOAD },
            ..scenario(
                "lost-replies",
                "the command runs and its reply is lost",
                &["the reply is dropped, the command ran"],
            )
            .fault(LoseReplies, 600, 500)
            .bites(Bite::Counted("reply lost"))
            .bites(Bite::Counted(UNHEARD))
        },
        scenario("lost-requests", "the request never arrives", &["the request is dropped"])
            .fault(LoseRequests, 600, 500)
            .bites(Bite::Counted("request lost")),
        scenario(
            "cut-replies",
            "the connection ends inside a reply",
            &["the connection is reset inside a reply"],
        )
        .fault(CutReplies, 600, 500)
        .bites(Bite::Counted("reply cut")),
        scenario("garbled", "a bit flips, a reply comes twice", &["a byte flipped, a reply doubled"])
            .fault(FlipBytes, 700, 400)
            .fault(DoubleReplies, 800, 400)
            .bites(Bite::Counted("byte flipped"))
            .bites(Bite::Counted("reply doubled")),
        scenario(
            "black-hole",
            "nothing arrives in one direction, and the connection stays open",
            &["black hole, half-open in either direction"],
        )
        .fault(SilenceReplies, 1_700, 700)
        .fault(SilenceRequests, 2_300, 700)
        .bites(Bite::Unknown),
        scenario(
            "latency",
            "everything takes up to two seconds, in small pieces",
            &["latency 0 to 2 s with jitter"],
        )
        .fault(SlowWay, 1_300, 900)
        .fault(Drip, 1_700, 600),
        scenario(
            "cut-off",
            "a worker reaches the bank and not Redis",
            &["worker cut off from Redis but not from the bank"],
        )
        .pays()
        .fault(CutOffWorker, 1_500, 1_200)
        .bites(Bite::Counted("payouts paid")),
    ]
}

fn locks_and_clocks() -> Vec<Scenario> {
    use Fault::*;
    vec![
        Scenario {
            smoke: ms(6_000),
            ..scenario(
                "lock-nodes",
                "lock servers die, one, two, and come back empty",
                &["lock nodes: minority down, majority down, restarted empty"],
            )
            .on(Ground::LockNodes)
            .pays()
            .fault(LockNodesDown, 900, 700)
            .bites(Bite::Counted("payouts paid"))
        },
        scenario(
            "locks-stolen",
            "locks are deleted and taken by others, and every payout is due at once",
            &["lock deleted or stolen"],
        )
        .pays()
        .fault(DeleteLocks, 90, 0)
        .fault(StallBank, 900, 450)
        .bites(Bite::Counted(STOLEN))
        .bites(Bite::Counted("payouts paid")),
        scenario("ttls-moved", "the server's clock jumps: every TTL is another", &["Redis clock moved"])
            .pays()
            .fault(MoveTtls, 70, 0)
            .bites(Bite::Counted("payouts paid")),
        Scenario {
            smoke: ms(6_000),
            ..scenario(
                "clocks",
                "the clocks of server, workers and producers step, up to a day either way",
                &["Redis clock moved", "worker clock moved"],
            )
            .on(Ground::Clocks)
            .fault(StepClock, 350, 400)
            .fault(KillWorker, 900, 0)
            .bites(Bite::Counted("clock of the server stepped"))
            .bites(Bite::Counted("clock of the workers stepped"))
            .bites(Bite::Counted("clock of the producers stepped"))
        },
    ]
}

fn refusals() -> Vec<Scenario> {
    use Fault::*;
    vec![
        scenario("full-memory", "memory is full", &["maxmemory reached, noeviction"])
            .fault(FillMemory, 1_600, 700),
        scenario("eviction", "somebody switches eviction on", &["eviction switched on by mistake"])
            .fault(SwitchEvictionOn, 1_900, 100)
            .bites(Bite::Counted("an unsafe Redis refused")),
        Scenario {
            smoke: ms(6_000),
            ..scenario("full-disk", "the disk is full", &["disk full, fsync error"])
                .on(Ground::SmallDisk)
                .fault(FillDisk, 2_400, 1_400)
        },
        scenario(
            "busy-script",
            "somebody else's script does not end",
            &["BUSY: someone else's endless script"],
        )
        .fault(BusyScript, 1_500, 700),
    ]
}

fn requests() -> Vec<Scenario> {
    use Fault::*;
    vec![
        scenario(
            "duplicate-enqueue",
            "one id from many at once, half with another body",
            &["duplicate enqueue"],
        )
        .fault(RepeatId, 900, 0),
        scenario("duplicate-delivery", "entries come twice, whoever has them", &["duplicate delivery"])
            .fault(DeliverTwice, 350, 0)
            .bites(Bite::Counted("given to another while in flight")),
        Scenario {
            load: Load { file: 30, ..LOAD },
            ..scenario(
                "poison",
                "bytes that are no job, retried and dead again",
                &["poison: broken envelope, panic, abort, endless loop"],
            )
            .fault(Poison, 500, 0)
            .fault(DiscardDead, 900, 0)
            .bites(Bite::Counted("dead"))
        },
        Scenario {
            may_end: &["SIGABRT"],
            expects: vec!["fail point", "a job panics whenever it is tried"],
            ..scenario(
                "poison-jobs",
                "jobs that make their worker panic or abort",
                &["poison: broken envelope, panic, abort, endless loop"],
            )
            .on(Ground::Killers)
            .fault(PoisonJob, 600_000, 0)
            .bites(Bite::Counted("dead"))
            .bites(Bite::Counted("fail points hit"))
        },
        scenario("huge", "envelopes up to and past the limit", &["huge payload"])
            .fault(HugePayload, 800, 0)
            .bites(Bite::Counted("dead")),
        scenario("hostile", "ids and numbers that somebody thought up", &["hostile ids", "hostile numbers"])
            .fault(Hostile, 1_200, 0),
        Scenario {
            load: Load { askers: 6, ..LOAD },
            ..scenario(
                "limits",
                "limits rise, fall and close while all redeem",
                &["limit raised, lowered, closed while racing"],
            )
            .fault(RaceForLast, 500, 0)
        },
        Scenario {
            load: Load { file_every: ms(40), ..LOAD },
            ..scenario(
                "producer-kill",
                "senders die before and after the send",
                &["producer killed before or after the send"],
            )
            .fault(ResetAll, 700, 0)
            .bites(Bite::Unknown)
        },
        scenario("flood", "ten times as much as usual", &["flood at ten times the rate"])
            .fault(Flood, 1_800, 1_200)
            .fault(FillMemory, 2_900, 400),
    ]
}

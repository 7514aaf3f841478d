//! The faults that there are, what each has to itself, and what its end has to undo.

use std::path::PathBuf;

use tollgate_testkit::process::Guard;

use super::clocks::Clock;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    KillWorker,
    KillWithWork,
    StopWorker,
    StarveWorkers,
    KillAllWorkers,
    Backlog,
    TermWorker,
    TermThenKill,
    KillRedis,
    KillRedisRewriting,
    StopRedis,
    FlushScripts,
    KillClients,
    PauseClients,
    FillMemory,
    SwitchEvictionOn,
    FillDisk,
    BusyScript,
    CutAofTail,
    EmptyData,
    Promote,
    Failover,
    DeleteLocks,
    MoveTtls,
    StepClock,
    DeliverTwice,
    LoseReplies,
    LoseRequests,
    CutReplies,
    FlipBytes,
    DoubleReplies,
    SilenceRequests,
    SilenceReplies,
    SlowWay,
    Drip,
    ResetAll,
    CutOffWorker,
    StallBank,
    RepeatId,
    Hostile,
    HugePayload,
    Poison,
    PoisonJob,
    RaceForLast,
    Flood,
    DiscardDead,
    FailPoint,
    LockNodesDown,
    Reshard,
    HalfMoveSlot,
    KillMaster,
    FailOverMaster,
    CutOffMaster,
    MinorityGone,
    MajorityGone,
    AllRestarted,
}

/// What only one fault at a time can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Group {
    Redis,
    Workers,
    LockNodes,
    Bank,
    Clients,
    Clock,
}

/// What its end has to undo.
pub(super) enum Undo {
    Nothing,
    Workers(Vec<usize>),
    Way,
    Redis(RedisUndo),
    Processes(Vec<Guard>),
    Flood,
    Bank,
    LockNodes(Vec<usize>),
    Cluster(ClusterUndo),
    Sentinel(SentinelUndo),
    /// This clock goes right again.
    Clock(Clock),
}

pub(super) enum RedisUndo {
    Restart,
    Continue,
    Set(&'static str, String),
    KillScript,
    RemoveFile(PathBuf),
    Restore(PathBuf),
}

/// What has to be undone on a cluster, whose nodes have numbers.
pub(super) enum ClusterUndo {
    /// These start again, each of the first before any of the others.
    Restart { masters: Vec<usize>, replicas: Vec<usize>, others: Option<OthersAtFirst> },
    /// These were masters, of these partitions, and start again; they may come too late to stay that.
    RestartMasters { nodes: Vec<(usize, Vec<u64>)>, since_us: u64 },
    /// This slot moves on to the node that is to have it.
    MoveOn { slot: u16, to: usize },
    /// This node reaches the others again; it had these partitions.
    Rejoin { node: usize, partitions: Vec<u64>, since_us: u64 },
}

/// Partitions that go on elsewhere, by tag and node, and how many lines their journals had in all when that began.
pub(super) struct OthersAtFirst {
    pub(super) tags: Vec<(String, usize)>,
    pub(super) lines: u64,
}

/// Likewise with Sentinels.
pub(super) enum SentinelUndo {
    /// These start again, in this order: servers, then Sentinels.
    Restart { servers: Vec<usize>, sentinels: Vec<usize> },
    /// This server reaches the others again.
    Rejoin { server: usize, since_us: u64 },
}

impl Fault {
    /// As the history and the report call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KillWorker => "worker SIGKILL",
            Self::KillWithWork => "worker SIGKILL with work in flight",
            Self::StopWorker => "worker SIGSTOP",
            Self::StarveWorkers => "CPU starvation",
            Self::KillAllWorkers => "all workers killed",
            Self::Backlog => "all workers gone while much is sent",
            Self::TermWorker => "worker SIGTERM",
            Self::TermThenKill => "worker SIGTERM twice, then SIGKILL",
            Self::KillRedis => "Redis kill -9",
            Self::KillRedisRewriting => "Redis kill -9 during BGREWRITEAOF",
            Self::StopRedis => "Redis SIGSTOP",
            Self::FlushScripts => "SCRIPT FLUSH",
            Self::KillClients => "CLIENT KILL",
            Self::PauseClients => "CLIENT PAUSE",
            Self::FillMemory => "maxmemory reached",
            Self::SwitchEvictionOn => "eviction switched on",
            Self::FillDisk => "disk full",
            Self::BusyScript => "endless script",
            Self::CutAofTail => "AOF tail cut",
            Self::EmptyData => "empty data directory",
            Self::Promote => "replica promoted while it lags",
            Self::Failover => "FAILOVER",
            Self::DeleteLocks => "locks deleted and stolen",
            Self::MoveTtls => "TTLs moved",
            Self::StepClock => "clock stepped",
            Self::DeliverTwice => "entries delivered twice",
            Self::LoseReplies => "replies lost",
            Self::LoseRequests => "requests lost",
            Self::CutReplies => "replies cut",
            Self::FlipBytes => "bytes flipped",
            Self::DoubleReplies => "replies doubled",
            Self::SilenceRequests => "requests into a black hole",
            Self::SilenceReplies => "replies into a black hole",
            Self::SlowWay => "latency and jitter",
            Self::Drip => "slow drip",
            Self::ResetAll => "connections reset",
            Self::CutOffWorker => "worker cut off from Redis",
            Self::StallBank => "bank stalls",
            Self::RepeatId => "one id many times",
            Self::Hostile => "hostile ids and numbers",
            Self::HugePayload => "huge payload",
            Self::Poison => "poison",
            Self::PoisonJob => "jobs that kill their workers",
            Self::RaceForLast => "many at once for the last one",
            Self::Flood => "flood",
            Self::DiscardDead => "dead jobs retried",
            Self::FailPoint => "fail point",
            Self::LockNodesDown => "lock servers down",
            Self::Reshard => "redis-cli --cluster reshard",
            Self::HalfMoveSlot => "slot half moved",
            Self::KillMaster => "master kill -9",
            Self::FailOverMaster => "failover ordered",
            Self::CutOffMaster => "master cut off",
            Self::MinorityGone => "minority gone",
            Self::MajorityGone => "majority gone",
            Self::AllRestarted => "all killed and started again",
        }
    }

    /// Whether it is about which servers of several there are, and which of them has what.
    pub(super) fn is_of_topology(self) -> bool {
        matches!(
            self,
            Self::Reshard
                | Self::HalfMoveSlot
                | Self::KillMaster
                | Self::FailOverMaster
                | Self::CutOffMaster
                | Self::MinorityGone
                | Self::MajorityGone
                | Self::AllRestarted
        )
    }

    /// What it has to itself: of two faults with one in common the second does not begin before the first has ended.
    pub(super) fn group(self) -> Option<Group> {
        match self {
            Self::KillRedis
            | Self::KillRedisRewriting
            | Self::StopRedis
            | Self::FlushScripts
            | Self::KillClients
            | Self::PauseClients
            | Self::FillMemory
            | Self::SwitchEvictionOn
            | Self::FillDisk
            | Self::BusyScript
            | Self::CutAofTail
            | Self::EmptyData
            | Self::Promote
            | Self::Failover
            | Self::DeleteLocks
            | Self::MoveTtls
            | Self::DeliverTwice => Some(Group::Redis),
            _ if self.is_of_topology() => Some(Group::Redis),
            Self::StopWorker
            | Self::KillWithWork
            | Self::KillAllWorkers
            | Self::Backlog
            | Self::TermWorker
            | Self::TermThenKill => Some(Group::Workers),
            Self::StepClock => Some(Group::Clock),
            Self::LockNodesDown => Some(Group::LockNodes),
            Self::StallBank => Some(Group::Bank),
            Self::RepeatId | Self::RaceForLast | Self::Hostile => Some(Group::Clients),
            _ => None,
        }
    }
}

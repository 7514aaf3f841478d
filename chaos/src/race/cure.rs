//! What people do against races, with what, and on which store.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A cure, as it is chosen on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Read, decide, write
    Naive,
    /// The same within a transaction
    Transaction,
    /// SELECT … FOR UPDATE
    RowLock,
    /// A version that must not have moved
    Optimistic,
    /// Decide and write in one step
    Atomic,
    /// The same request is answered, not executed again
    IdempotencyKey,
    /// A lock around it
    Lock,
    /// A lock, and its token checked at the resource
    #[value(name = "lock+fence")]
    LockFence,
    /// The job system
    Tollgate,
}

/// A cure, down to what it is played with, in the order of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Cure {
    Naive,
    Transaction(Isolation),
    RowLock,
    Optimistic,
    Atomic,
    IdempotencyKey,
    Lock(Service),
    LockFence(Service),
    Tollgate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
    /// Redis's MULTI and EXEC, without WATCH.
    Multi,
}

/// Who keeps a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Service {
    /// Redlock on one Redis.
    Redlock1,
    /// Redlock on three.
    Redlock3,
    /// A session of PostgreSQL.
    Advisory,
    Etcd,
    Zookeeper,
    /// Played only where one is named.
    Consul,
}

/// Where the records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Store {
    Postgres,
    Redis,
}

impl Store {
    pub(super) const ALL: [Self; 2] = [Self::Postgres, Self::Redis];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
        }
    }
}

impl Service {
    pub(super) const ALL: [Self; 6] =
        [Self::Redlock1, Self::Redlock3, Self::Advisory, Self::Etcd, Self::Zookeeper, Self::Consul];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Redlock1 => "Redlock/1",
            Self::Redlock3 => "Redlock/3",
            Self::Advisory => "advisory",
            Self::Etcd => "etcd",
            Self::Zookeeper => "ZooKeeper",
            Self::Consul => "Consul",
        }
    }

    /// Whether the lock ends by itself when its holder is silent for long. An advisory lock ends with its session,
    /// and the server does not notice that a client is stopped.
    pub(super) fn expires(self) -> bool {
        self != Self::Advisory
    }
}

impl Isolation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Serializable => "SERIALIZABLE",
            Self::Multi => "MULTI",
        }
    }
}

impl Kind {
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Cure {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Naive => Kind::Naive,
            Self::Transaction(_) => Kind::Transaction,
            Self::RowLock => Kind::RowLock,
            Self::Optimistic => Kind::Optimistic,
            Self::IdempotencyKey => Kind::IdempotencyKey,
            Self::Lock(_) => Kind::Lock,
            Self::LockFence(_) => Kind::LockFence,
            Self::Atomic => Kind::Atomic,
            Self::Tollgate => Kind::Tollgate,
        }
    }

    /// Every cure; transactions as this store has them.
    pub(super) fn all(store: Store) -> impl Iterator<Item = Self> {
        let isolations: &[Isolation] = match store {
            Store::Postgres => {
                &[Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable]
            }
            Store::Redis => &[Isolation::Multi],
        };
        [Self::Naive]
            .into_iter()
            .chain(isolations.iter().copied().map(Self::Transaction))
            .chain([Self::RowLock, Self::Optimistic, Self::Atomic, Self::IdempotencyKey])
            .chain(Service::ALL.map(Self::Lock))
            .chain(Service::ALL.map(Self::LockFence))
            .chain([Self::Tollgate])
    }

    /// The service whose locks it uses.
    pub(super) fn service(self) -> Option<Service> {
        match self {
            Self::Lock(service) | Self::LockFence(service) => Some(service),
            _ => None,
        }
    }
}

//! What people do against races, what each cure promises, and where it makes no sense.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::scenario::Scenario;

/// A cure, as it is chosen on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Kind {
    /// Read, decide, write
    Naive,
    /// The same within a transaction
    Transaction,
    /// SELECT … FOR UPDATE
    RowLock,
    /// A version that must not have moved
    Optimistic,
    /// The same request is answered, not executed again
    IdempotencyKey,
    /// A lock around it
    Lock,
    /// A lock, and its token checked at the resource
    #[value(name = "lock+fence")]
    LockFence,
    /// Decide and write in one step
    Atomic,
    /// The job system
    Tollgate,
}

/// A cure, down to what it is played with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Cure {
    Naive,
    Transaction(Isolation),
    RowLock,
    Optimistic,
    IdempotencyKey,
    Lock(Service),
    LockFence(Service),
    Atomic,
    Tollgate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
}

/// Where the records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
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
    pub(super) const ALL: [Self; 5] =
        [Self::Redlock1, Self::Redlock3, Self::Advisory, Self::Etcd, Self::Zookeeper];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Redlock1 => "Redlock, 1 node",
            Self::Redlock3 => "Redlock, 3 nodes",
            Self::Advisory => "advisory",
            Self::Etcd => "etcd",
            Self::Zookeeper => "ZooKeeper",
        }
    }

    /// Whether the lock ends by itself when its holder is silent for long. An advisory lock ends with its session,
    /// and the server does not notice that a client is stopped.
    fn expires(self) -> bool {
        self != Self::Advisory
    }
}

impl Isolation {
    fn name(self) -> &'static str {
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

    /// Every cure, in the order of the tables; transactions as this store has them.
    fn all(store: Store) -> impl Iterator<Item = Self> {
        let isolations: &[Isolation] = match store {
            Store::Postgres => &[Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable],
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

    /// Why it is not played on this store in this scenario, if it is not.
    fn senseless(self, scenario: Scenario, store: Store) -> Option<&'static str> {
        Some(match (self, store) {
            (Self::RowLock, Store::Redis) => "Redis locks no keys; WATCH, under `optimistic`, is its way",
            (Self::Tollgate, Store::Postgres) => "Tollgate keeps its state in Redis",
            (Self::Tollgate, Store::Redis) if scenario == Scenario::Stock => {
                "a Tollgate job takes from one resource; orders of several items are not built yet"
            }
            _ => return None,
        })
    }
}

/// One row of a scenario's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) scenario: Scenario,
    pub(super) cure: Cure,
    pub(super) store: Store,
    /// Whether a holder of the lock is stopped past the lock's end.
    pub(super) stopped: bool,
}

/// What a cure says of itself in a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    Safe,
    /// It promises nothing here, and why.
    Nothing(&'static str),
}

impl Cell {
    /// The cure and what it is played with: `lock, etcd`.
    pub(super) fn label(self) -> String {
        let kind = self.cure.kind().name();
        let with = match self.cure {
            Cure::Transaction(isolation) => format!("{kind}, {}", isolation.name()),
            Cure::Lock(service) | Cure::LockFence(service) => format!("{kind}, {}", service.name()),
            _ => kind,
        };
        if self.stopped { format!("{with}, stopped") } else { with }
    }

    pub(super) fn promise(self) -> Promise {
        use Promise::{Nothing, Safe};
        let twice = self.scenario == Scenario::DoubleClick;
        match self.cure {
            Cure::Naive => Nothing("others write between its read and its write"),
            Cure::Transaction(Isolation::ReadCommitted) => {
                Nothing("READ COMMITTED lets two read before either writes, and the later write wins")
            }
            Cure::Transaction(Isolation::Multi) => {
                Nothing("MULTI makes one step of the writes; the read and the decision were before it")
            }
            Cure::IdempotencyKey if !twice => {
                Nothing("a key knows the same request again; these are different requests")
            }
            Cure::IdempotencyKey | Cure::Tollgate => Safe,
            _ if twice => Nothing("it does not know that both are one request, and there is money for two"),
            Cure::Lock(service) if self.stopped && service.expires() => {
                Nothing("the lock ended while its holder was stopped, and the holder writes on")
            }
            _ => Safe,
        }
    }
}

/// A cure that is not in the matrix, and why.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Senseless {
    pub(super) scenario: Scenario,
    pub(super) cure: String,
    pub(super) store: Store,
    pub(super) why: &'static str,
}

/// What is to be played, in order.
#[derive(Debug, Default)]
pub(super) struct Matrix {
    pub(super) cells: Vec<Cell>,
    pub(super) senseless: Vec<Senseless>,
}

impl Matrix {
    /// Every scenario with every cure on every store of these, where that makes sense; with the stop of a holder
    /// where there is one, if `stopped`.
    pub(super) fn new(scenarios: &[Scenario], kinds: &[Kind], stores: &[Store], stopped: bool) -> Self {
        let mut matrix = Self::default();
        for &scenario in scenarios {
            for &store in stores {
                for cure in Cure::all(store).filter(|cure| kinds.contains(&cure.kind())) {
                    let cell = Cell { scenario, cure, store, stopped: false };
                    match cure.senseless(scenario, store) {
                        None => matrix.cells.push(cell),
                        Some(why) => {
                            matrix.senseless.push(Senseless { scenario, cure: cell.label(), store, why });
                        }
                    }
                    // In `double-click` a lock is no cure, stopped or not.
                    if stopped && cure.service().is_some() && scenario != Scenario::DoubleClick {
                        matrix.cells.push(Cell { stopped: true, ..cell });
                    }
                }
            }
        }
        matrix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(stopped: bool) -> Matrix {
        Matrix::new(&Scenario::ALL, Kind::value_variants(), &Store::ALL, stopped)
    }

    #[test]
    fn every_scenario_meets_every_cure_on_every_store_or_it_is_said_why_not() {
        let matrix = whole(false);
        for scenario in Scenario::ALL {
            for kind in Kind::value_variants() {
                for store in Store::ALL {
                    let played = matrix.cells.iter().any(|cell| {
                        (cell.scenario, cell.cure.kind(), cell.store) == (scenario, *kind, store)
                    });
                    let excused = matrix.senseless.iter().any(|other| {
                        (other.scenario, &other.cure, other.store) == (scenario, &kind.name(), store)
                    });
                    assert!(played != excused, "{scenario:?} {kind:?} {store:?}");
                }
            }
        }
    }

    #[test]
    fn a_key_cures_the_double_click_alone_and_a_stop_breaks_only_locks_that_expire() {
        for cell in whole(true).cells {
            let safe = cell.promise() == Promise::Safe;
            let twice = cell.scenario == Scenario::DoubleClick;
            match cell.cure {
                Cure::Naive | Cure::Transaction(Isolation::ReadCommitted | Isolation::Multi) => {
                    assert!(!safe, "{cell:?}")
                }
                Cure::IdempotencyKey => assert_eq!(safe, twice, "{cell:?}"),
                Cure::Tollgate => assert!(safe),
                Cure::Lock(service) => {
                    assert_eq!(safe, !twice && !(cell.stopped && service != Service::Advisory), "{cell:?}");
                }
                _ => assert_eq!(safe, !twice, "{cell:?}"),
            }
        }
    }
}

//! Every scenario with every cure on every store: what each cell promises, and why some make no sense.

use serde::{Deserialize, Serialize};

use super::cure::{Cure, Isolation, Kind, Store};
use super::scenario::Scenario;

/// One row of a scenario's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

    /// All of it: `ticket: lock, etcd on Redis`.
    pub(super) fn name(self) -> String {
        format!("{}: {} on {}", self.scenario.name(), self.label(), self.store.name())
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
                    match senseless(cure, store) {
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

/// Why a cure is not played on this store, if it is not.
fn senseless(cure: Cure, store: Store) -> Option<&'static str> {
    Some(match (cure, store) {
        (Cure::RowLock, Store::Redis) => "Redis locks no keys; WATCH, under `optimistic`, is its way",
        (Cure::Tollgate, Store::Postgres) => "Tollgate keeps its state in Redis",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::super::cure::Service;
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
                    let broken = twice || cell.stopped && service != Service::Advisory;
                    assert_eq!(safe, !broken, "{cell:?}");
                }
                _ => assert_eq!(safe, !twice, "{cell:?}"),
            }
        }
    }
}

//! Whether the gateway is asked to pay: not while it turns us away or cannot be reached.
//!
//! After a pause one payout tries, until it has an answer; the others wait for it. What is wrong is said once when it
//! begins and once when it is over, and `/readyz` shows it: a worker that cannot pay is not ready.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use tollgate::backoff::Backoff;

use super::outcome::AttemptEnd;
use super::rules::Pauses;
use crate::incidents::{Incident, Incidents, Kind, Reporter};

pub(crate) struct Breaker {
    pauses: Pauses,
    reporter: Reporter,
    state: Mutex<State>,
}

struct State {
    gate: Gate,
    backoff: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Closed,
    Open {
        until: Instant,
    },
    /// One payout tries.
    Trying,
}

impl Breaker {
    pub(crate) fn new(pauses: Pauses, incidents: &Incidents) -> Self {
        let backoff = Backoff::new(pauses.unreachable, pauses.refused.max(pauses.unreachable));
        let state = Mutex::new(State { gate: Gate::Closed, backoff });
        Self { pauses, reporter: incidents.reporter(), state }
    }

    /// Whether a payout may begin. Whoever is told so must say what came of it.
    pub(crate) fn may_pay(&self) -> bool {
        let gate = &mut self.state.lock().unwrap_or_else(PoisonError::into_inner).gate;
        match *gate {
            Gate::Closed => true,
            Gate::Open { until } if Instant::now() >= until => {
                *gate = Gate::Trying;
                true
            }
            Gate::Open { .. } | Gate::Trying => false,
        }
    }

    /// Whether no payout may begin now.
    pub(crate) fn pauses(&self) -> bool {
        match self.state.lock().unwrap_or_else(PoisonError::into_inner).gate {
            Gate::Closed => false,
            Gate::Open { until } => Instant::now() < until,
            Gate::Trying => true,
        }
    }

    /// Something has changed that may help: one payout tries without waiting for the pause to end.
    pub(crate) fn try_now(&self) {
        let gate = &mut self.state.lock().unwrap_or_else(PoisonError::into_inner).gate;
        if matches!(gate, Gate::Open { .. }) {
            *gate = Gate::Open { until: Instant::now() };
        }
    }

    /// Takes note of what came of a payout.
    pub(crate) fn learn(&self, outcome: &AttemptEnd, incidents: &Incidents) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            AttemptEnd::Misconfigured { note } => {
                state.gate = Gate::Open { until: Instant::now() + self.pauses.refused };
                let reason = format!(
                    "the payout gateway's address or our credentials are wrong ({note}); payouts are paused"
                );
                incidents.open(self.reporter, Incident::new(Kind::GatewayRefuses, "", reason));
            }
            AttemptEnd::NotSent { note } => {
                // Those that were on their way together count as one failure.
                if matches!(state.gate, Gate::Open { until } if Instant::now() < until) {
                    return;
                }
                state.gate = Gate::Open { until: Instant::now() + state.backoff.next_pause() };
                let reason = format!(
                    "the payout gateway cannot be reached ({note}); nothing was sent, payouts are paused"
                );
                incidents.open(self.reporter, Incident::new(Kind::GatewayUnavailable, "", reason));
            }
            // A payout that did not reach the gateway says nothing about it: the next one may try.
            AttemptEnd::NotOurs | AttemptEnd::Damaged { .. } if state.gate == Gate::Trying => {
                state.gate = Gate::Open { until: Instant::now() };
            }
            AttemptEnd::Recorded(_) | AttemptEnd::Unknown if state.gate == Gate::Trying => {
                state.gate = Gate::Closed;
                state.backoff.reset();
                incidents.resolve(self.reporter);
            }
            AttemptEnd::NotOurs
            | AttemptEnd::Damaged { .. }
            | AttemptEnd::Recorded(_)
            | AttemptEnd::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(20);

    /// The clock stands still but for this.
    async fn wait_until_it_may(breaker: &Breaker) {
        while !breaker.may_pay() {
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_one_tries_and_its_answer_counts() {
        let incidents = Incidents::default();
        let breaker = Breaker::new(Pauses { refused: PAUSE, unreachable: PAUSE }, &incidents);
        let note = String::new();
        for bad in [AttemptEnd::NotSent { note: note.clone() }, AttemptEnd::Misconfigured { note }] {
            assert!(breaker.may_pay() && breaker.may_pay());
            breaker.learn(&bad, &incidents);
            assert!(breaker.pauses());
            assert_eq!(incidents.list().len(), 1);
            // A late answer of one that was on its way says nothing new.
            breaker.learn(&AttemptEnd::Unknown, &incidents);
            wait_until_it_may(&breaker).await;
            assert!(!breaker.may_pay(), "one tries");
            breaker.learn(&AttemptEnd::NotOurs, &incidents);
            wait_until_it_may(&breaker).await;
            breaker.learn(&AttemptEnd::Unknown, &incidents);
            assert!(breaker.may_pay() && !breaker.pauses());
            assert!(incidents.none());
        }
    }
}

//! The arithmetic of Redlock, pure: how many nodes are a majority, how long a majority is worth, what a round of
//! answers amounts to. Source: <https://redis.io/docs/latest/develop/use/patterns/distributed-locks/>.
//!
//! Relies on nothing: the clock is an argument. Must saturate, never wrap: a TTL below the drift is worth nothing.

use std::time::{Duration, Instant};

use crate::connection::failure::{Failure, Refusal};

/// Added to the relative drift, for the granularity of the servers' expiry.
const DRIFT_MIN: Duration = Duration::from_millis(2);

/// The smallest number of nodes that any other such number shares a node with.
pub(super) fn quorum(nodes: usize) -> usize {
    nodes / 2 + 1
}

/// How much faster than ours the nodes' clocks may run during a TTL: 1 % and 2 ms.
pub(super) fn drift(ttl: Duration) -> Duration {
    (ttl / 100).saturating_add(DRIFT_MIN)
}

/// The end of what a grant is worth, counted from before it was asked for.
pub(super) fn valid_until(sent_at: Instant, ttl: Duration) -> Instant {
    sent_at + ttl.saturating_sub(drift(ttl))
}

/// How long before the end of its validity the work is cancelled, so that the cancellation itself (the timer's
/// granularity, a task that waits for its thread, what the work drops) ends in time.
pub(super) fn cancel_margin(ttl: Duration) -> Duration {
    (ttl / 20).clamp(Duration::from_millis(1), Duration::from_millis(250))
}

/// When to extend next, after an extension that was sent at `sent_at`: twice more before the end.
pub(super) fn renew_at(sent_at: Instant, ttl: Duration) -> Instant {
    sent_at + ttl / 3
}

/// The answer of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Vote {
    /// The lock is ours there.
    Ours,
    /// Nobody has it there (never the answer to a take).
    Gone,
    /// Another has it there.
    Taken {
        /// The other's token.
        token: String,
    },
    /// No answer, or none that says who has it.
    Broken(Failure),
}

/// The answers of one round, by node; `None` as long as a node has not answered.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) votes: Vec<Option<Vote>>,
}

/// What a round amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuorumResult {
    /// A quorum is ours.
    Ours,
    /// So many nodes say that it is not ours that the others are no quorum.
    NotOurs,
    /// So many nodes are broken that the others are no quorum.
    Broken,
    /// No quorum, but neither of the two alone is the reason.
    Split,
    /// Answers are missing that can still decide.
    Open,
}

impl Tally {
    pub(super) fn new(nodes: usize) -> Self {
        Self { votes: vec![None; nodes] }
    }

    fn count(&self, kind: impl Fn(&Option<Vote>) -> bool) -> usize {
        self.votes.iter().filter(|vote| kind(vote)).count()
    }

    /// How many nodes granted it to us.
    pub(super) fn ours(&self) -> usize {
        self.count(|vote| *vote == Some(Vote::Ours))
    }

    pub(super) fn standing(&self) -> QuorumResult {
        let nodes = self.votes.len();
        let spare = nodes - quorum(nodes);
        let ours = self.ours();
        let open = self.count(Option::is_none);
        let broken = self.count(|vote| matches!(vote, Some(Vote::Broken(_))));
        let not_ours = nodes - ours - open - broken;
        if ours >= quorum(nodes) {
            QuorumResult::Ours
        } else if not_ours > spare {
            QuorumResult::NotOurs
        } else if broken > spare {
            QuorumResult::Broken
        } else if not_ours + broken > spare {
            QuorumResult::Split
        } else {
            QuorumResult::Open
        }
    }

    /// After an extension: whether the lock is to be taken again on node `index`, on which it may still stand, or not.
    /// Only where this very round had a quorum by extending alone: then no other holder can exist.
    pub(super) fn repairs(&self, index: usize, may_stand: bool) -> bool {
        self.standing() == QuorumResult::Ours
            && match &self.votes[index] {
                Some(Vote::Gone) => true,
                // Another's attempt is on it: there is nothing to be had before it goes.
                Some(Vote::Ours | Vote::Taken { .. }) => false,
                Some(Vote::Broken(_)) => !may_stand,
                // Its answer comes after the quorum's, and is looked at then.
                None => true,
            }
    }

    /// Whether the nodes are well and only links of this process are missing for a quorum.
    pub(super) fn lacks_links(&self) -> bool {
        let no_link = |failure: &Failure| failure.refusal() == Some(Refusal::NoLink);
        let missing = self.count(|vote| matches!(vote, Some(Vote::Broken(failure)) if no_link(failure)));
        let broken = self.count(|vote| matches!(vote, Some(Vote::Broken(_))));
        missing > 0 && broken - missing <= self.votes.len() - quorum(self.votes.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn quorum_is_the_majority() {
        assert_eq!([1, 3, 5].map(quorum), [1, 2, 3]);
    }

    #[test]
    fn a_ttl_below_the_drift_is_worth_nothing() {
        let sent_at = Instant::now();
        for ttl in [0, 1, 2] {
            assert_eq!(valid_until(sent_at, ms(ttl)), sent_at, "{ttl} ms");
        }
        assert_eq!(valid_until(sent_at, ms(1_000)), sent_at + ms(1_000 - 10 - 2));
        assert_eq!(drift(Duration::MAX), Duration::MAX / 100 + DRIFT_MIN);
    }

    fn vote() -> impl Strategy<Value = Option<Vote>> {
        prop_oneof![
            Just(None),
            Just(Some(Vote::Ours)),
            Just(Some(Vote::Gone)),
            Just(Some(Vote::Taken { token: "other/1".into() })),
            Just(Some(Vote::Broken(Failure::unknown("lost")))),
        ]
    }

    fn votes() -> impl Strategy<Value = Vec<Option<Vote>>> {
        prop_oneof![
            proptest::collection::vec(vote(), 1),
            proptest::collection::vec(vote(), 3),
            proptest::collection::vec(vote(), 5),
        ]
    }

    proptest! {
        #[test]
        fn two_holders_never_both_have_a_quorum(votes in votes()) {
            // What the other holder could have at most: every node that did not grant to us.
            let others = votes.iter().filter(|vote| **vote != Some(Vote::Ours)).count();
            let tally = Tally { votes };
            if tally.standing() == QuorumResult::Ours {
                prop_assert!(others < quorum(tally.votes.len()));
            }
        }

        #[test]
        fn a_standing_that_is_not_open_cannot_become_ours_by_more_answers(votes in votes()) {
            let mut tally = Tally { votes };
            let before = tally.standing();
            for vote in tally.votes.iter_mut().filter(|vote| vote.is_none()) {
                *vote = Some(Vote::Ours);
            }
            let best = tally.standing();
            prop_assert_eq!(best == QuorumResult::Ours, matches!(before, QuorumResult::Ours | QuorumResult::Open));
        }

        #[test]
        fn a_round_in_which_all_have_voted_is_decided(votes in votes()) {
            let votes = votes.into_iter().map(|vote| vote.or(Some(Vote::Broken(Failure::unknown("no answer")))));
            let tally = Tally { votes: votes.collect() };
            prop_assert_ne!(tally.standing(), QuorumResult::Open);
        }

        #[test]
        fn only_a_round_with_a_quorum_repairs_and_never_what_another_has(votes in votes(), may_stand in any::<bool>()) {
            let tally = Tally { votes };
            for index in 0..tally.votes.len() {
                if tally.repairs(index, may_stand) {
                    prop_assert_eq!(tally.standing(), QuorumResult::Ours);
                    let vote = &tally.votes[index];
                    let stands = matches!(vote, Some(Vote::Ours | Vote::Taken { .. }));
                    prop_assert!(!stands, "{:?}", vote);
                }
            }
        }

        #[test]
        fn validity_is_shorter_than_the_ttl_by_the_drift_and_longer_than_the_margin_leaves(ms in 1_u64..3_600_000) {
            let ttl = Duration::from_millis(ms);
            let sent_at = Instant::now();
            let valid = valid_until(sent_at, ttl) - sent_at;
            prop_assert!(valid + drift(ttl) >= ttl && valid < ttl);
            // From 8 ms on there is time to work between the first answer and the cancellation.
            prop_assert!(ms < 8 || cancel_margin(ttl) < valid);
            prop_assert!(renew_at(sent_at, ttl) < sent_at + ttl);
        }
    }
}

//! The stories: what is scarce, who wants it, and what must hold afterwards. One file each.
//!
//! Each is put in the same terms, so that every cure can play it: a *record* holds a quantity, a *request* takes
//! from one record or several, all or nothing. A seat is a record with one in it; so is a customer's allowance of
//! one coupon, and so is the one decision that an application waits for.

mod atm;
mod coupon;
mod double_click;
mod loan;
mod stock;
mod story;
mod ticket;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use story::Story;
pub(super) use story::{Record, Request, Role, Round, Take};

/// Which story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// $80 and $50 from an account of $100
    Atm,
    /// One ticket, many buyers
    Ticket,
    /// The first 100 customers of a thousand
    Coupon,
    /// One laptop, two carts, and orders of several items
    Stock,
    /// One officer approves, another rejects
    Loan,
    /// The same request sent twice
    DoubleClick,
}

impl Scenario {
    pub(super) const ALL: [Self; 6] =
        [Self::Atm, Self::Ticket, Self::Coupon, Self::Stock, Self::Loan, Self::DoubleClick];

    pub(super) fn story(self) -> &'static Story {
        match self {
            Self::Atm => &atm::STORY,
            Self::Ticket => &ticket::STORY,
            Self::Coupon => &coupon::STORY,
            Self::Stock => &stock::STORY,
            Self::Loan => &loan::STORY,
            Self::DoubleClick => &double_click::STORY,
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.story().name
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn rounds() -> impl Iterator<Item = (Scenario, usize, Round)> {
        Scenario::ALL.into_iter().flat_map(|scenario| {
            (2..=40).map(move |size| {
                let mut random = ChaCha8Rng::seed_from_u64(size as u64);
                (scenario, size, (scenario.story().crowd)(size, "test", &mut random))
            })
        })
    }

    #[test]
    fn requests_are_for_what_is_there_in_one_order_and_more_is_asked_than_there_is() {
        for (scenario, size, round) in rounds() {
            let keys: BTreeSet<&str> = round.records.iter().map(|record| record.key.as_str()).collect();
            assert_eq!(keys.len(), round.records.len(), "{scenario:?}: keys are unique");
            assert!((1..=round.requests.len()).contains(&round.enough), "{scenario:?}");
            let mut asked: HashMap<usize, i64> = HashMap::new();
            for request in &round.requests {
                assert!(!request.takes.is_empty() && !request.lock.is_empty(), "{scenario:?}");
                let records: Vec<usize> = request.takes.iter().map(|take| take.record).collect();
                // Each once and in order: who locks row by row cannot lock in a circle.
                assert!(records.is_sorted_by(|a, b| a < b), "{scenario:?}: {records:?}");
                request.takes.iter().for_each(|take| *asked.entry(take.record).or_default() += take.amount);
                assert!(request.takes.iter().all(|take| take.amount > 0));
            }
            let scarce =
                |record: &usize| asked.get(record).copied().unwrap_or(0) > round.records[*record].quantity;
            let is_scarce = (0..round.records.len()).any(|record| scarce(&record));
            assert_eq!(is_scarce, scenario != Scenario::DoubleClick, "{scenario:?} with {size}");
        }
    }

    #[test]
    fn only_a_double_click_sends_an_id_twice() {
        for (scenario, _, round) in rounds() {
            let ids: BTreeSet<&str> = round.requests.iter().map(|request| request.id.as_str()).collect();
            let copies = if scenario == Scenario::DoubleClick { 2 } else { 1 };
            assert_eq!(ids.len() * copies, round.requests.len(), "{scenario:?}");
        }
    }

    #[test]
    fn of_two_in_a_duel_only_one_can_be_granted_but_of_a_double_click() {
        for scenario in Scenario::ALL {
            let round = (scenario.story().paused_holder)("test");
            assert_eq!(round.requests.len(), 2, "{scenario:?}");
            let both = |record: usize| {
                let takes = round.requests.iter().flat_map(|request| &request.takes);
                takes.filter(|take| take.record == record).map(|take| take.amount).sum::<i64>()
            };
            let exclude =
                (0..round.records.len()).any(|record| both(record) > round.records[record].quantity);
            assert_eq!(exclude, scenario != Scenario::DoubleClick, "{scenario:?}");
        }
    }

    #[test]
    fn a_thousand_come_for_a_hundred_coupons_and_some_of_them_twice() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let round = (Scenario::Coupon.story().crowd)(32, "test", &mut random);
        assert_eq!((round.records[0].quantity, round.requests.len()), (100, 1_000));
        let customers: BTreeSet<&str> =
            round.requests.iter().map(|request| request.customer.as_str()).collect();
        assert_eq!(customers.len(), 950);
        assert_eq!(round.records.len(), 951, "one allowance for each customer, and the coupons");
    }
}

//! The jobs of the demo: always the same ones.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::concert;

pub(crate) const COUPONS: u64 = 100;
pub(crate) const ACCOUNTS: u64 = 100;
/// What is on each account at first, in cents.
pub(crate) const BALANCE: u64 = 50_000;
const CUSTOMERS: u64 = 4_000;
/// Distinct jobs of each kind.
const JOBS: u64 = 9_500;
/// How many of each kind are sent a second time.
const DUPLICATES: u64 = 500;

pub(crate) struct Burst {
    /// Lines that create what is spent from.
    pub(crate) resources: String,
    /// The jobs, in random order.
    pub(crate) jobs: String,
    /// How many jobs in all, duplicates included.
    pub(crate) sent: u64,
    /// How many of them are duplicates.
    pub(crate) duplicates: u64,
}

pub(crate) fn make() -> Burst {
    let mut rng = ChaCha8Rng::seed_from_u64(100);
    let mut resources =
        format!(r#"{{"kind":"campaign_create","campaign":"first-100","limit":{COUPONS},"per_customer":1}}"#);
    for account in 0..ACCOUNTS {
        resources += &format!(
            "\n{{\"kind\":\"account_open\",\"account\":\"wallet-{account}\",\"balance\":{BALANCE}}}"
        );
    }
    let mut jobs = Vec::new();
    for job in 0..JOBS {
        let (customer, account) = (rng.random_range(0..CUSTOMERS), rng.random_range(0..ACCOUNTS));
        let amount = rng.random_range(50..=2_000);
        let redeem = format!(
            r#"{{"kind":"redeem","id":"order-{job}-coupon","campaign":"first-100","customer":"c{customer}"}}"#
        );
        let withdraw = format!(
            r#"{{"kind":"withdraw","id":"order-{job}-pay","account":"wallet-{account}","amount":{amount}}}"#
        );
        for line in [redeem, withdraw] {
            if job < DUPLICATES {
                jobs.push(line.clone());
            }
            jobs.push(line);
        }
    }
    jobs.extend(concert::wishes(&mut rng));
    jobs.shuffle(&mut rng);
    Burst { resources, jobs: jobs.join("\n"), sent: jobs.len() as u64, duplicates: 2 * DUPLICATES }
}

//! The first 100 customers get a coupon each; a thousand come, some of them twice.
//!
//! "None twice" is an allowance of one for each customer, taken together with the coupon.

use std::collections::HashMap;

use rand_chacha::ChaCha8Rng;

use super::story::{Role, Round, Story, Take};

/// Coupons, at 25 users at once or more; fewer users are given as many for each of them.
const COUPONS: usize = 100;
const COUPONS_PER_USER: usize = 4;
/// Ten customers come for each coupon.
const REQUESTS_PER_COUPON: usize = 10;
/// One request in so many is by the customer of the request before.
const AGAIN_EVERY: usize = 20;

pub(super) const STORY: Story = Story {
    name: "coupon",
    story: "The first 100 customers get a coupon, one each. A thousand come, and some ask from two tabs at once.",
    resource: "100 coupons, and each customer's allowance of one",
    invariant: "100 coupons go out and not one more, and no customer gets two",
    guarantees: "G1",
    kind: "redeem",
    quantity: |left| format!("{left} left"),
    amount: |coupons| coupons.to_string(),
    given: "given out",
    paused_holder: |tag| campaign(1, &["customer 1".to_owned(), "customer 2".to_owned()], tag),
    crowd: |size, tag, _: &mut ChaCha8Rng| {
        let coupons = COUPONS.min(COUPONS_PER_USER * size);
        let who =
            |number: usize| format!("customer {}", number - usize::from(number.is_multiple_of(AGAIN_EVERY)));
        let customers: Vec<String> = (1..=coupons * REQUESTS_PER_COUPON).map(who).collect();
        // When they are gone and as many were turned away, more of the thousand show nothing new.
        Round { enough: 2 * coupons, ..campaign(coupons, &customers, tag) }
    },
};

fn campaign(coupons: usize, customers: &[String], tag: &str) -> Round {
    let mut round = Round::default();
    let role = Role::Campaign { per_customer: Some(1) };
    let campaign = round.record(tag, "coupons".to_owned(), coupons as i64, role);
    let mut allowances = HashMap::new();
    for customer in customers {
        let allowance = *allowances.entry(customer).or_insert_with(|| {
            let role = Role::Allowance { campaign, customer: customer.clone() };
            round.record(tag, format!("allowance of {customer}"), 1, role)
        });
        let takes = [campaign, allowance].map(|record| Take { record, amount: 1 }).into();
        round.request(tag, customer.clone(), customer.clone(), "gets a coupon".to_owned(), takes);
    }
    round
}

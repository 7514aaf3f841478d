//! The first 100 customers get a coupon each; a thousand come, some of them twice.
//!
//! "None twice" is an allowance of one for each customer, taken together with the coupon.

use rand_chacha::ChaCha8Rng;

use super::{Role, Round, Story, Take};

const COUPONS: i64 = 100;
const REQUESTS: usize = 1_000;
/// One request in so many is by the customer of the request before.
const AGAIN_EVERY: usize = 20;
/// When the coupons are gone and half as many again were turned away, more of the thousand show nothing new.
const ENOUGH: usize = 250;

pub(super) const STORY: Story = Story {
    name: "coupon",
    story: "The first 100 customers get a coupon, one each. A thousand come, and some ask from two tabs at once.",
    resource: "100 coupons, and each customer's allowance of one",
    invariant: "100 coupons go out and not one more, and no customer gets two",
    quantity: |left| format!("{left} left"),
    amount: |coupons| coupons.to_string(),
    given: "given out",
    duel: |tag| customers(1, &["customer 1".to_owned(), "customer 2".to_owned()], tag),
    crowd: |_, tag, _: &mut ChaCha8Rng| {
        let who = |number: usize| format!("customer {}", number - usize::from(number % AGAIN_EVERY == 0));
        let customers: Vec<String> = (1..=REQUESTS).map(who).collect();
        Round { enough: ENOUGH, ..self::customers(COUPONS, &customers, tag) }
    },
};

fn customers(coupons: i64, customers: &[String], tag: &str) -> Round {
    let mut round = Round::default();
    let role = Role::Campaign { per_customer: Some(1) };
    let campaign = round.record(tag, "coupons".to_owned(), coupons, role);
    let mut allowances = std::collections::HashMap::new();
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

//! Puts the KEYS and ARGV of a settle call together: shared keys once, each kind's fields in the order of its
//! Lua file.

use std::collections::HashMap;

use crate::amount::{Amount, Currency};
use crate::ids::{Bucket, JobId, QueueName};
use crate::instant::Instant;
use crate::job::{Kind, Request, Resource};
use crate::keys::Keys;
use crate::script::Call;

use super::{Policy, SETTLE};

/// Where `kept` is in KEYS; a timeless id names no other bucket.
const KEPT_POSITION: usize = 7;

/// A call that jobs are added to.
pub(in crate::scripts) struct Assembly<'a> {
    pub(in crate::scripts) call: Call,
    keys: &'a Keys,
    buckets: HashMap<Bucket, usize>,
    resources: HashMap<(Type, &'a str), usize>,
}

#[derive(PartialEq, Eq, Hash)]
enum Type {
    Campaign,
    Account,
}

impl<'a> Assembly<'a> {
    pub(in crate::scripts) fn new(keys: &'a Keys, queue: &QueueName) -> Self {
        let call = SETTLE
            .call()
            .key(keys.head())
            .key(keys.queue(queue))
            .key(keys.journal())
            .key(keys.parked())
            .key(keys.scheduled())
            .key(keys.dead())
            .key(keys.receipts(Bucket::Kept))
            .key(keys.resources());
        Self { call, keys, buckets: HashMap::new(), resources: HashMap::new() }
    }

    /// The fields that every kind has.
    pub(in crate::scripts) fn push_job(&mut self, kind: Kind, entry: &str, id: &JobId, fingerprint: &str) {
        let (hour, bucket) = self.bucket(id);
        self.call.push_arg(kind.name());
        self.call.push_arg(entry);
        self.call.push_arg(id.as_str());
        self.call.push_arg(fingerprint);
        self.call.push_arg(hour);
        self.call.push_arg(bucket);
    }

    /// A resource's id and the position of its key.
    pub(in crate::scripts) fn push_resource(&mut self, resource: Resource<'a>) {
        self.call.push_arg(resource.id());
        let position = self.resource(resource);
        self.call.push_arg(position);
    }

    /// The positions of a payout's own keys.
    pub(in crate::scripts) fn push_hold(&mut self, id: &JobId) {
        for key in [self.keys.hold(id), self.keys.payouts()] {
            let position = self.call.push_key(key);
            self.call.push_arg(position);
        }
    }

    /// The fields of a request's kind.
    pub(super) fn push_request(&mut self, id: &JobId, request: &'a Request, policy: Policy) {
        self.push_resource(request.resource());
        match request {
            Request::Redeem { customer, quantity, .. } => {
                self.call.push_arg(customer.as_str());
                self.call.push_arg(quantity.get());
            }
            Request::Withdraw { amount, currency, .. } | Request::Deposit { amount, currency, .. } => {
                self.push_money(*amount, *currency);
            }
            Request::Payout { amount, currency, destination, .. } => {
                self.push_hold(id);
                self.push_money(*amount, *currency);
                self.call.push_arg(destination.as_str());
                self.push_optional(policy.hold_ttl.map(|ttl| ttl.as_millis() as u64));
            }
            Request::AccountOpen { balance, currency, .. } => self.push_money(*balance, *currency),
            // PayoutStep is refused before it comes here: `scripts::payout` assembles the steps.
            Request::AccountClose { .. } | Request::CampaignClose { .. } | Request::PayoutStep { .. } => {}
            Request::CampaignCreate(terms) => {
                self.call.push_arg(terms.limit.get());
                self.push_optional(terms.per_customer.map(|most| most.get()));
                self.push_optional(terms.window.opens_at().map(Instant::ms));
                self.push_optional(terms.window.closes_at().map(Instant::ms));
                let codes = terms.codes.as_ref();
                self.call.push_arg(codes.map_or("", |codes| codes.as_str()));
                let position = codes.map(|codes| self.call.push_key(self.keys.codes(codes)) as u64);
                self.push_optional(position);
            }
            Request::CampaignSetLimit { limit, expected, .. } => {
                self.call.push_arg(limit.get());
                self.push_optional(expected.map(|limit| limit.get()));
            }
        }
    }

    fn push_money(&mut self, amount: Amount, currency: Currency) {
        self.call.push_arg(amount.minor());
        self.call.push_arg(currency.code());
    }

    fn push_optional(&mut self, number: Option<u64>) {
        match number {
            Some(number) => self.call.push_arg(number),
            None => self.call.push_arg(""),
        }
    }

    /// The hour of an id ('' for a timeless one) and the position of its bucket.
    fn bucket(&mut self, id: &JobId) -> (String, usize) {
        let bucket = id.bucket();
        let Bucket::Hour(hour) = bucket else { return (String::new(), KEPT_POSITION) };
        let (call, keys) = (&mut self.call, self.keys);
        let position = *self.buckets.entry(bucket).or_insert_with(|| call.push_key(keys.receipts(bucket)));
        (hour.to_string(), position)
    }

    /// The position of a resource's key; a campaign's holders come right after it.
    fn resource(&mut self, resource: Resource<'a>) -> usize {
        let (call, keys) = (&mut self.call, self.keys);
        match resource {
            Resource::Account(id) => *self
                .resources
                .entry((Type::Account, id.as_str()))
                .or_insert_with(|| call.push_key(keys.account(id))),
            Resource::Campaign(id) => {
                *self.resources.entry((Type::Campaign, id.as_str())).or_insert_with(|| {
                    let position = call.push_key(keys.campaign(id));
                    call.push_key(keys.holders(id));
                    position
                })
            }
        }
    }
}

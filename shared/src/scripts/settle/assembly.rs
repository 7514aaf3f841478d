//! Puts the KEYS and ARGV of a settle call together: each key and what it is of once, each kind's fields in the
//! order of its Lua file.

use std::collections::HashMap;

use crate::protocol::ids::{Actor, Bucket, JobId, QueueName};

use crate::protocol::keys::Keys;
use crate::protocol::kinds::{Argument, Kind, Settle};
use crate::protocol::lines::{Lines, hash_of};
use crate::protocol::resource::Resource;
use crate::scripts::script::{Call, millis};

use super::packed::Packed;
use super::policy::{Missing, Policy};

/// Where `kept` is in KEYS; a timeless id names no other bucket.
const KEPT_POSITION: usize = 8;

/// A call that jobs are added to.
pub(in crate::scripts) struct Assembly<'a> {
    call: Call,
    /// What each key is of.
    names: Packed,
    jobs: Packed,
    /// The run that jobs are added to.
    run: Option<Run>,
    keys: &'a Keys,
    buckets: HashMap<Bucket, usize>,
    resources: HashMap<(Type, &'a str), usize>,
}

/// Jobs of one kind and one bucket that follow one another; what they share is sent once.
struct Run {
    kind: Kind,
    bucket: usize,
    jobs: usize,
    /// Where their number stands.
    counted_at: usize,
}

#[derive(PartialEq, Eq, Hash)]
enum Type {
    Campaign,
    Account,
    Inventory,
    Case,
}

impl<'a> Assembly<'a> {
    /// On `call`, which is empty.
    pub(in crate::scripts) fn new(
        call: Call,
        keys: &'a Keys,
        queue: &QueueName,
        policy: Policy<'_>,
        entries: &str,
    ) -> Self {
        let row = policy.source.map(|source| source.row);
        let call = call
            .key(keys.head())
            .key(keys.queue(queue))
            .key(keys.in_flight(queue))
            .key(keys.journal())
            .key(keys.parked())
            .key(keys.scheduled())
            .key(keys.dead())
            .key(keys.receipts(Bucket::Kept))
            .key(keys.resources())
            .arg(queue.as_str())
            .arg(policy.by.map_or("", Actor::as_str))
            .arg(match policy.missing {
                _ if policy.cancels => "cancel",
                Missing::Undecided => "",
                Missing::Refused => "refuse",
            })
            .arg(row.map_or("", |row| &row.key))
            .arg(row.map_or("", |row| &row.token))
            .arg(entries)
            .arg(policy.source.map_or(String::new(), |source| source.left.join(" ")));
        Self {
            call,
            names: Packed::default(),
            jobs: Packed::default(),
            run: None,
            keys,
            buckets: HashMap::new(),
            resources: HashMap::new(),
        }
    }

    /// The call with everything that was added.
    pub(in crate::scripts) fn finish(mut self) -> Call {
        self.end_run();
        self.call.arg(self.names.finish()).arg(self.jobs.finish())
    }

    /// One field of the job that was added last.
    pub(in crate::scripts) fn push(&mut self, field: &str) {
        self.jobs.text(field);
    }

    /// Likewise a number, as text: an amount may be more than Lua reads exactly.
    pub(in crate::scripts) fn push_digits(&mut self, number: u64) {
        self.jobs.digits(number);
    }

    /// The fields that every kind has.
    pub(in crate::scripts) fn push_job(&mut self, kind: Kind, id: &JobId, fingerprint: &str) {
        let bucket = self.bucket(id);
        match &mut self.run {
            Some(run) if run.kind == kind && run.bucket == bucket => run.jobs += 1,
            _ => {
                self.end_run();
                self.jobs.text(kind.name());
                self.jobs.number(bucket);
                let counted_at = self.jobs.number_later();
                self.run = Some(Run { kind, bucket, jobs: 1, counted_at });
            }
        }
        self.push(id.as_str());
        self.push(fingerprint);
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            self.jobs.put(run.counted_at, run.jobs);
        }
    }

    /// The position of a resource's key.
    pub(in crate::scripts) fn push_resource(&mut self, resource: Resource<'a>) {
        let position = self.resource(resource);
        self.jobs.number(position);
    }

    /// The positions of a payout's own keys.
    pub(in crate::scripts) fn push_hold(&mut self, id: &JobId) {
        for key in [self.keys.hold(id), self.keys.payouts()] {
            let position = push_key(&mut self.call, &mut self.names, key, "");
            self.jobs.number(position);
        }
    }

    /// A request: the position of its resource, what it needs to hold money, and its fields past the resource.
    pub(super) fn push_request(&mut self, id: &JobId, request: &'a dyn Settle, policy: Policy<'_>) {
        self.push_resource(request.resource());
        let holds = request.kind().spec().holds;
        if holds {
            self.push_hold(id);
        }
        let (mut is_first, mut lines) = (true, None);
        request.each_field(&mut |field, text| {
            let is_resource = std::mem::take(&mut is_first);
            match (text, field.argument) {
                _ if is_resource => {}
                _ if request.kind().spec().also == Some(field.name) => {
                    if let Some(other) = request.other_resource() {
                        self.push_resource(other);
                    }
                }
                (Some(text), Argument::Key(key_of)) => {
                    let key = key_of(self.keys, &text);
                    let position = push_key(&mut self.call, &mut self.names, key, &text);
                    self.jobs.number(position);
                }
                (Some(text), Argument::Receipt) => {
                    // It is no id of ours if it cannot be one: then nothing is known of it.
                    let position = JobId::stored(text.as_ref()).map_or(KEPT_POSITION, |id| self.bucket(&id));
                    self.jobs.number(position);
                    self.push(&text);
                }
                (text, argument) => {
                    let text = text.as_deref().unwrap_or_default();
                    self.push(text);
                    if let Argument::Lines = argument {
                        lines = Some(taken_apart(text));
                    }
                }
            }
        });
        if let Some(lines) = lines {
            self.jobs.list(lines);
        }
        match policy.hold_ttl.map(millis) {
            _ if !holds => {}
            Some(ttl) => self.push_digits(ttl),
            None => self.push(""),
        }
    }

    /// The position of an id's bucket.
    fn bucket(&mut self, id: &JobId) -> usize {
        let bucket = id.bucket();
        let Bucket::Hour(hour) = bucket else { return KEPT_POSITION };
        let (call, names, keys) = (&mut self.call, &mut self.names, self.keys);
        *self
            .buckets
            .entry(bucket)
            .or_insert_with(|| push_key(call, names, keys.receipts(bucket), &hour.to_string()))
    }

    /// The position of a resource's key; a campaign's holders come right after it, and after an inventory
    /// its items, stock, buyers and orders, and the reservations.
    fn resource(&mut self, resource: Resource<'a>) -> usize {
        let (call, names, keys) = (&mut self.call, &mut self.names, self.keys);
        match resource {
            Resource::Account(id) => *self
                .resources
                .entry((Type::Account, id.as_str()))
                .or_insert_with(|| push_key(call, names, keys.account(id), id.as_str())),
            Resource::Case(id) => *self
                .resources
                .entry((Type::Case, id.as_str()))
                .or_insert_with(|| push_key(call, names, keys.case(id), id.as_str())),
            Resource::Campaign(id) => {
                *self.resources.entry((Type::Campaign, id.as_str())).or_insert_with(|| {
                    let position = push_key(call, names, keys.campaign(id), id.as_str());
                    push_key(call, names, keys.holders(id), "");
                    position
                })
            }
            Resource::Inventory(id) => {
                *self.resources.entry((Type::Inventory, id.as_str())).or_insert_with(|| {
                    let position = push_key(call, names, keys.inventory(id), id.as_str());
                    for key in [
                        keys.items(id),
                        keys.stock(id),
                        keys.buyers(id),
                        keys.orders(id),
                        keys.reservations(),
                    ] {
                        push_key(call, names, key, "");
                    }
                    position
                })
            }
        }
    }
}

/// Adds a key and what it is of; answers its position.
fn push_key(call: &mut Call, names: &mut Packed, key: String, name: &str) -> usize {
    names.text(name);
    call.push_key(key)
}

/// Of each line what begins its item in a bucket's text, its quantity, and the item's hash.
fn taken_apart(text: &str) -> Packed {
    let mut list = Packed::default();
    for (item, quantity) in Lines::from_text(text).iter().flat_map(Lines::iter) {
        list.text(&format!("\n{item}\t"));
        list.quantity(quantity.get());
        list.number(hash_of(item) as usize);
    }
    list
}

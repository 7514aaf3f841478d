//! Every key in Redis, one method each. No key is built anywhere else, and none inside Lua.
//!
//! All keys of a partition begin with one hash tag, so that one decision touches one slot.

use crate::protocol::codes_name::CodesName;
use crate::protocol::ids::{
    AccountId, Bucket, CampaignId, CaseId, InventoryId, JobId, LockName, Namespace, QueueName,
};
use crate::protocol::partition::{Partition, Partitions};
use crate::protocol::resource::Resource;
use crate::protocol::tag::Tag;

/// The consumer group of every queue: how far it has been read. What is in flight is noted beside it.
pub const GROUP: &str = "cursor";

/// The one consumer of the group: nothing is ever pending under it.
pub const CONSUMER: &str = "fleet";

/// The keys of one partition.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The hash tag and a colon.
    tag: String,
}

impl Keys {
    /// The keys of `partition` in a namespace of `partitions`; computes the tag.
    pub fn new(namespace: &Namespace, partition: Partition, partitions: Partitions) -> Self {
        Self::tagged(&Tag::of(namespace, partition, partitions))
    }

    /// The keys of the partition that has this tag.
    pub fn tagged(tag: &Tag) -> Self {
        Self { tag: format!("{tag}:") }
    }

    /// The namespace's meta, outside every tag (hash).
    pub fn meta(namespace: &Namespace) -> String {
        format!("{namespace}:meta")
    }

    /// One lock, on a lock node (string, always with a TTL): outside every tag, since it stands alone.
    pub fn lock(namespace: &Namespace, name: &LockName) -> String {
        format!("{namespace}:lock:{}", name.key_part())
    }

    /// Who is next in line for a lock, on the lock node that is asked first (string, with a TTL). No lock is called so:
    /// the first part of a lock's name is one of a few.
    pub fn lock_next(namespace: &Namespace, name: &LockName) -> String {
        format!("{namespace}:lock:next:{}", name.key_part())
    }

    /// One value of the library's user with the fence that guards it (hash): outside every tag, since fence
    /// and value share the key.
    pub fn guarded(namespace: &Namespace, name: &LockName) -> String {
        format!("{namespace}:guarded:{}", name.key_part())
    }

    /// What every queue's stream of a namespace matches, in whichever partition, as a glob.
    pub fn streams_pattern(namespace: &Namespace) -> String {
        format!("{{{namespace}.*}}:queue:*")
    }

    /// The name of the queue whose stream the key is, if it is one of this partition.
    pub fn queue_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.tag)?.strip_prefix("queue:")
    }

    fn key(&self, name: &str) -> String {
        [&self.tag, name].concat()
    }

    /// The partition's truth: format, floor, seq, hash, counters (hash).
    pub fn head(&self) -> String {
        self.key("head")
    }

    /// Queue name -> `active` or `paused` (hash).
    pub fn queues(&self) -> String {
        self.key("queues")
    }

    /// Names of queues that somebody sends to, whether or not a worker has opened them (set). Apart from `queues`, for
    /// whoever may send must not be able to pause.
    pub fn registered(&self) -> String {
        self.key("registered")
    }

    /// Ready jobs of one queue (stream).
    pub fn queue(&self, name: &QueueName) -> String {
        self.key(&format!("queue:{name}"))
    }

    /// What was taken from a queue and is not settled, one row a batch (hash).
    pub fn in_flight(&self, name: &QueueName) -> String {
        self.key(&format!("in_flight:{name}"))
    }

    /// Ids by due time (sorted set).
    pub fn scheduled(&self) -> String {
        self.key("scheduled")
    }

    /// Ids by the time they gave up (sorted set).
    pub fn dead(&self) -> String {
        self.key("dead")
    }

    /// Id -> the envelope and why it left its stream undecided (hash).
    pub fn parked(&self) -> String {
        self.key("parked")
    }

    /// The receipts of one bucket (hash).
    pub fn receipts(&self, bucket: Bucket) -> String {
        match bucket {
            Bucket::Hour(hour) => self.key(&format!("receipts:{hour}")),
            Bucket::Kept => self.key("receipts:kept"),
        }
    }

    /// One entry per settle (stream).
    pub fn journal(&self) -> String {
        self.key("journal")
    }

    /// One campaign (hash).
    pub fn campaign(&self, id: &CampaignId) -> String {
        self.key(&format!("campaign:{id}"))
    }

    /// Customer -> how much they redeemed of a campaign (hash). `id` may end in ":holders" itself without
    /// harm: holders live under a prefix of their own.
    pub fn holders(&self, id: &CampaignId) -> String {
        self.key(&format!("holders:{id}"))
    }

    /// Number -> code, of one uploaded list (hash).
    pub fn codes(&self, name: &CodesName) -> String {
        self.codes_named(name.as_str())
    }

    /// The same of the text of a name.
    pub(crate) fn codes_named(&self, name: &str) -> String {
        self.key(&format!("codes:{name}"))
    }

    /// One account (hash).
    pub fn account(&self, id: &AccountId) -> String {
        self.key(&format!("account:{id}"))
    }

    /// One inventory (hash).
    pub fn inventory(&self, id: &InventoryId) -> String {
        self.key(&format!("inventory:{id}"))
    }

    /// Bucket -> the items that were sold from, packed (hash).
    pub fn items(&self, id: &InventoryId) -> String {
        self.key(&format!("items:{id}"))
    }

    /// Customer -> how many units they have of an inventory (hash).
    pub fn buyers(&self, id: &InventoryId) -> String {
        self.key(&format!("buyers:{id}"))
    }

    /// The id of a purchase or a reservation -> what there is of it, packed (hash).
    pub fn orders(&self, id: &InventoryId) -> String {
        self.key(&format!("orders:{id}"))
    }

    /// `<inventory> TAB <id>` of open reservations by when they may end (sorted set).
    pub fn reservations(&self) -> String {
        self.key("reservations")
    }

    /// Bucket -> the items that an inventory began with, packed (hash); never changed once it is loaded.
    pub fn stock(&self, id: &InventoryId) -> String {
        self.key(&format!("stock:{id}"))
    }

    /// One case (hash).
    pub fn case(&self, id: &CaseId) -> String {
        self.key(&format!("case:{id}"))
    }

    /// The key of whichever resource it is.
    pub fn resource(&self, resource: Resource<'_>) -> String {
        match resource {
            Resource::Campaign(id) => self.campaign(id),
            Resource::Account(id) => self.account(id),
            Resource::Inventory(id) => self.inventory(id),
            Resource::Case(id) => self.case(id),
        }
    }

    /// One open payout (hash).
    pub fn hold(&self, id: &JobId) -> String {
        self.key(&format!("hold:{id}"))
    }

    /// `<account> TAB <id>` of open payouts by when somebody has to look at them next (sorted set).
    pub fn payouts(&self) -> String {
        self.key("payouts")
    }

    /// `campaign:<id>`, `account:<id>`, `inventory:<id>` and `case:<id>`, never shrunk (sorted set, all scores 0).
    pub fn resources(&self) -> String {
        self.key("resources")
    }

    /// What a repair fills before it moves it over a key (hash): gone afterwards.
    pub fn repair(&self) -> String {
        self.key("repair")
    }

    /// Consumer -> last beat by server time, and what it runs (hash).
    pub fn workers(&self) -> String {
        self.key("workers")
    }
}

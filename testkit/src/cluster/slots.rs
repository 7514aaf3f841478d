//! Which node has which slot, and moving one: whole, or by the steps of which each may be the last.
use std::ops::RangeInclusive;

use super::{Cluster, ClusterError};

/// How long one MIGRATE may take.
const MIGRATE_MS: &str = "5000";
/// How many keys one MIGRATE takes.
const KEYS_AT_ONCE: usize = 100;

impl Cluster {
    /// The nodes that have slots now, by their own words, in the order of their slots. One that runs and was replaced
    /// without having heard of it is not among them.
    pub fn masters(&self) -> Vec<usize> {
        let mut masters: Vec<(u16, usize)> = Vec::new();
        for (node, itself) in self.themselves() {
            if let Some((first, _)) = itself.slots.first()
                && self.node_of_slot(*first) == Some(node)
            {
                masters.push((*first, node));
            }
        }
        masters.sort_unstable();
        masters.into_iter().map(|(_, node)| node).collect()
    }

    /// The running nodes that follow this one.
    pub fn replicas_of(&self, master: usize) -> Vec<usize> {
        let id = self.id(master);
        let themselves = self.themselves();
        themselves.into_iter().filter(|(_, itself)| itself.master == id).map(|(node, _)| node).collect()
    }

    /// The running node that has this slot; of several that say so, the one of the latest configuration.
    pub fn node_of_slot(&self, slot: u16) -> Option<usize> {
        let themselves = self.themselves();
        let having = themselves.into_iter().filter(|(_, itself)| itself.has(slot));
        having.max_by_key(|(_, itself)| itself.epoch).map(|(node, _)| node)
    }

    /// The slots that a node has, by its own words.
    pub fn slots_of(&self, node: usize) -> Vec<u16> {
        let own = self.themselves().into_iter().find(|(other, _)| *other == node);
        let ranges = own.map(|(_, itself)| itself.slots).unwrap_or_default();
        ranges.into_iter().flat_map(|(first, last)| first..=last).collect()
    }

    /// The slot of a key.
    ///
    /// # Errors
    /// If no node says it.
    pub fn slot_of(&self, key: &str) -> Result<u16, ClusterError> {
        let node =
            self.running().next().ok_or_else(|| ClusterError::NeverSo("a node that runs".to_owned()))?;
        self.tell(node, &["CLUSTER", "KEYSLOT", key])
    }

    /// How many keys of a slot a node has.
    ///
    /// # Errors
    /// If it does not say so.
    pub fn keys_in(&self, node: usize, slot: u16) -> Result<usize, ClusterError> {
        self.tell(node, &["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()])
    }

    /// Moves a slot with all its keys.
    ///
    /// # Errors
    /// If a node refuses.
    pub fn migrate_slot(&self, slot: u16, to: usize) -> Result<(), ClusterError> {
        self.begin_migration(slot, to)?;
        self.finish_migration(slot, to)
    }

    fn owner_of(&self, slot: u16) -> Result<usize, ClusterError> {
        self.node_of_slot(slot).ok_or_else(|| ClusterError::NeverSo(format!("a node that has slot {slot}")))
    }

    /// Gives slots that have no keys to another node, all at once, and waits until every node says so. By redis-cli each
    /// of them takes as long as one that has some.
    ///
    /// # Errors
    /// As [`Cluster::migrate_slot`].
    pub fn hand_over(&self, slots: &RangeInclusive<u16>, to: usize) -> Result<(), ClusterError> {
        let (first, last) = (slots.start().to_string(), slots.end().to_string());
        self.tell::<()>(to, &["CLUSTER", "DELSLOTSRANGE", &first, &last])?;
        // The latest configuration counts: whoever had them gives them up.
        self.tell::<String>(to, &["CLUSTER", "BUMPEPOCH"])?;
        self.tell::<()>(to, &["CLUSTER", "ADDSLOTSRANGE", &first, &last])?;
        [*slots.start(), *slots.end()].into_iter().try_for_each(|slot| self.known(slot, to))
    }

    /// Waits until every node says that this one has the slot.
    fn known(&self, slot: u16, to: usize) -> Result<(), ClusterError> {
        self.wait("every node to know who has the slot", |cluster| {
            for node in cluster.running() {
                if cluster.owner_by(node, slot)? != Some(to) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// From now on its node sends on, by ASK, whoever asks for a key of the slot that is not there (any more).
    ///
    /// # Errors
    /// As [`Cluster::migrate_slot`].
    pub fn begin_migration(&self, slot: u16, to: usize) -> Result<(), ClusterError> {
        let from = self.owner_of(slot)?;
        let number = slot.to_string();
        self.tell::<()>(to, &["CLUSTER", "SETSLOT", &number, "IMPORTING", self.id(from)])?;
        self.tell(from, &["CLUSTER", "SETSLOT", &number, "MIGRATING", self.id(to)])
    }

    /// Moves at most so many keys of a slot whose migration was begun; says how many.
    ///
    /// # Errors
    /// As [`Cluster::migrate_slot`].
    pub fn move_keys(&self, slot: u16, to: usize, count: usize) -> Result<usize, ClusterError> {
        let from = self.owner_of(slot)?;
        let (number, count) = (slot.to_string(), count.to_string());
        let keys: Vec<String> = self.tell(from, &["CLUSTER", "GETKEYSINSLOT", &number, &count])?;
        if !keys.is_empty() {
            let port = self.port(to).to_string();
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", MIGRATE_MS, "KEYS"];
            words.extend(keys.iter().map(String::as_str));
            // NOKEY where they have expired meanwhile.
            self.tell::<String>(from, &words)?;
        }
        Ok(keys.len())
    }

    /// Moves what is left of a slot whose migration was begun, tells every node who has it, and waits until each
    /// says so.
    ///
    /// # Errors
    /// As [`Cluster::migrate_slot`].
    pub fn finish_migration(&self, slot: u16, to: usize) -> Result<(), ClusterError> {
        let from = self.owner_of(slot)?;
        while self.move_keys(slot, to, KEYS_AT_ONCE)? > 0 {}
        let number = slot.to_string();
        // The new one first: if this ends here, the old one still sends everybody on to it.
        let others = self.masters().into_iter().filter(|node| ![from, to].contains(node));
        for node in [to, from].into_iter().chain(others) {
            self.tell::<()>(node, &["CLUSTER", "SETSLOT", &number, "NODE", self.id(to)])?;
        }
        self.known(slot, to)
    }

    /// The node that has a slot as one of them sees it.
    fn owner_by(&self, node: usize, slot: u16) -> Result<Option<usize>, ClusterError> {
        type Row = (u16, u16, Vec<redis::Value>);
        let rows: Vec<Vec<redis::Value>> = self.tell(node, &["CLUSTER", "SLOTS"])?;
        let read = |row: Vec<redis::Value>| -> Option<Row> {
            let mut row = row.into_iter();
            let mut number = || redis::from_redis_value(row.next()?).ok();
            let (first, last) = (number()?, number()?);
            Some((first, last, redis::from_redis_value(row.next()?).ok()?))
        };
        let row = rows.into_iter().filter_map(read).find(|(first, last, _)| (*first..=*last).contains(&slot));
        let port = row.and_then(|(_, _, node)| redis::from_redis_value::<u16>(node.into_iter().nth(1)?).ok());
        Ok(port.and_then(|port| self.nodes.iter().position(|node| node.port == port)))
    }
}

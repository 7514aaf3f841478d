//! Nodes that die, stand still, come back, and take the place of others.
use std::time::{Duration, Instant};

use super::{Cluster, ClusterError};
use crate::relay::{Relay, address_of_server};

/// Redis gives up an agreed failover after five seconds.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(6);

/// How a replica is made the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// With its master's help: nothing is lost.
    Agreed,
    /// Without it, and with the votes of most masters.
    Forced,
    /// Without anybody.
    TakenOver,
}

impl Cluster {
    /// SIGKILL; what it had is there for [`Cluster::restart`].
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].server.kill();
        self.nodes[node].is_stopped = false;
    }

    /// Starts a node on what it had, on the ports that it had, and waits until it has loaded that.
    ///
    /// # Errors
    /// If it does not start.
    pub fn restart(&mut self, node: usize) -> Result<(), ClusterError> {
        self.nodes[node].is_stopped = false;
        let started = self.nodes[node].server.restart();
        started.map_err(|error| ClusterError::Start { number: node, error })
    }

    /// SIGSTOP: its connections stay open and nothing answers.
    pub fn stop(&mut self, node: usize) {
        self.nodes[node].server.pause();
        self.nodes[node].is_stopped = true;
    }

    /// SIGCONT.
    pub fn cont(&mut self, node: usize) {
        self.nodes[node].server.resume();
        self.nodes[node].is_stopped = false;
    }

    /// Nothing passes between a node and the others any more, neither the bus nor replication, while clients reach it
    /// and it takes what they write, as long as it believes that it is the master. Only where nodes
    /// [can be cut off](super::Settings::can_be_cut_off).
    pub fn cut_off(&self, node: usize) {
        let others: Vec<_> =
            (0..self.count()).filter(|other| *other != node).map(address_of_server).collect();
        for (number, other) in self.nodes.iter().enumerate() {
            let from = if number == node { others.as_slice() } else { &[address_of_server(node)] };
            other.ways.iter().flatten().for_each(|way| way.cut(from));
        }
    }

    /// Nobody is cut off any more.
    pub fn rejoin(&self) {
        self.nodes.iter().filter_map(|node| node.ways.as_ref()).flatten().for_each(Relay::heal);
    }

    /// Makes a replica the master as an operator would, by `CLUSTER FAILOVER`, and waits until it is.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn fail_over(&self, replica: usize) -> Result<(), ClusterError> {
        self.fail_over_by(replica, Failover::Agreed)
    }

    /// The same with less agreement.
    ///
    /// # Errors
    /// As [`Cluster::fail_over`].
    pub fn fail_over_by(&self, replica: usize, how: Failover) -> Result<(), ClusterError> {
        let words: &[&str] = match how {
            Failover::Agreed => &["CLUSTER", "FAILOVER"],
            Failover::Forced => &["CLUSTER", "FAILOVER", "FORCE"],
            Failover::TakenOver => &["CLUSTER", "FAILOVER", "TAKEOVER"],
        };
        let mut asked: Option<Instant> = None;
        self.wait("the replica to be the master", |cluster| {
            if cluster.masters().contains(&replica) {
                return Ok(true);
            }
            // Refused while its link to the master is down, and given up after five seconds: then asked for again. Not
            // before, since each time it begins anew.
            if asked.is_none_or(|asked| asked.elapsed() > GIVEN_UP_AFTER) {
                asked = cluster.tell::<()>(replica, words).is_ok().then(Instant::now);
            }
            Ok(false)
        })
    }

    /// Waits until every running replica has all that its master has.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn replicated(&self) -> Result<(), ClusterError> {
        self.wait("every replica to have everything", |cluster| {
            for (node, itself) in cluster.themselves() {
                let master = cluster.of_id(&itself.master);
                let Some(master) = master.filter(|master| cluster.nodes[*master].answers()) else {
                    // One that has lost its slots and follows nobody yet.
                    if itself.is_master && itself.slots.is_empty() {
                        return Ok(false);
                    }
                    continue;
                };
                let is_linked =
                    cluster.some_say(&[node], &["INFO", "replication"], &["master_link_status:up\r"])?;
                let has_all = cluster.offset(master, "master_repl_offset:")?;
                if !is_linked || has_all.is_none() || cluster.offset(node, "slave_repl_offset:")? < has_all {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Waits until every running node says that the slots are served and no node is missed or suspected, and no two
    /// say that they have the same slot.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn settled(&self) -> Result<(), ClusterError> {
        self.wait("every node to find all slots served and all nodes there", |cluster| {
            for node in cluster.running() {
                let (Ok(info), Ok(nodes)) = (
                    cluster.tell::<String>(node, &["CLUSTER", "INFO"]),
                    cluster.tell::<String>(node, &["CLUSTER", "NODES"]),
                ) else {
                    return Ok(false);
                };
                if !info.contains("cluster_state:ok\r") || nodes.contains("fail") {
                    return Ok(false);
                }
            }
            Ok(cluster.themselves().iter().all(|(node, itself)| {
                let mut firsts = itself.slots.iter().map(|(first, _)| *first);
                !itself.is_master || firsts.all(|slot| cluster.node_of_slot(slot) == Some(*node))
            }))
        })
    }

    fn offset(&self, node: usize, name: &str) -> Result<Option<u64>, ClusterError> {
        let info: String = self.tell(node, &["INFO", "replication"])?;
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.and_then(|value| value.trim().parse().ok()))
    }
}

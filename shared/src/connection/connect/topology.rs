//! What the nodes of a Redis Cluster say of it: who has which slot.

use std::collections::BTreeSet;

use rand::seq::IteratorRandom;
use redis::{ConnectionInfo, FromRedisValue, RedisError, Value};

use super::endpoint::Endpoint;
use super::hung_up::is_tls;
use super::latest::{self, Answer, Silent};
use super::url::{self, Address};
use crate::connection::failure::Failure;
use crate::protocol::slot::SLOTS;

/// How many nodes are asked.
const ASKED_MAX: usize = 16;

/// What a node says of its cluster.
pub(super) struct Topology {
    epoch: u64,
    /// First and last slot, its master, and who else is named with it.
    pub(super) ranges: Vec<(u16, u16, Address, Vec<Address>)>,
}

impl Answer for Topology {
    fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// What the latest configuration says that some of `known` have, of a cluster that is reached by `endpoint`.
///
/// # Errors
/// Always [`Failure::NotApplied`]: none of them says so in time.
///
/// # Cancel safety
/// Reads only.
pub(super) async fn latest(endpoint: &Endpoint, known: BTreeSet<Address>) -> Result<Topology, Failure> {
    let asked = known.into_iter().sample(&mut rand::rng(), ASKED_MAX);
    let asked =
        asked.into_iter().map(|at| (url::host_and_port(&at), ask(endpoint.node_at(at.clone()).info(), at)));
    let is_tls = is_tls(endpoint.info().addr());
    latest::latest(asked.collect(), is_tls).await.map_err(|Silent { said, reason }| {
        let detail = format!("no node of the cluster says who has which slot: {said}");
        Failure::not_applied(reason, detail)
    })
}

async fn ask(info: ConnectionInfo, (host, _): Address) -> Result<Result<Topology, String>, RedisError> {
    let mut connection = latest::connect(&info).await?;
    let mut questions = redis::pipe();
    questions.cmd("CLUSTER").arg("SLOTS").cmd("CLUSTER").arg("INFO");
    let (slots, said): (Vec<Vec<Value>>, String) = match questions.query_async(&mut connection).await {
        Err(error) if error.to_string().contains("cluster support disabled") => {
            return Ok(Err(format!("{error}: a server by itself is redis://host:port")));
        }
        said => said?,
    };
    let epoch =
        said.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:")?.trim().parse().ok());
    let ranges = slots.into_iter().filter_map(|range| read_range(range, &host)).collect();
    Ok(Ok(Topology { epoch: epoch.unwrap_or_default(), ranges }))
}

/// Whether a node says where another one is: it may not know its own address, or that of one that has just come.
pub(super) fn is_named(host: &str) -> bool {
    !host.is_empty() && host != "?"
}

/// First slot, last slot, then each node: host, port, and more that we do not need.
fn read_range(range: Vec<Value>, asked: &str) -> Option<(u16, u16, Address, Vec<Address>)> {
    let mut range = range.into_iter();
    let mut number = || u16::from_redis_value(range.next()?).ok();
    let (first, last) = (number()?, number()?);
    let mut nodes = range.filter_map(|node| {
        let node = Vec::<Value>::from_redis_value(node).ok()?;
        let mut words = node.into_iter();
        let host = Option::<String>::from_redis_value(words.next()?).ok()?.unwrap_or_default();
        let host = if is_named(&host) { host } else { asked.to_owned() };
        Some((host, u16::from_redis_value(words.next()?).ok()?))
    });
    let master = nodes.next()?;
    (first <= last && last < SLOTS).then(|| (first, last, master, nodes.collect()))
}

//! What is left of a namespace whose meta is gone: the names of its keys, and what its heads say.
//!
//! One SCAN over the names of all keys in Redis. Reading only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::{Identity, Namespace};
use crate::protocol::partition::Partitions;
use crate::protocol::tag::Tag;
use crate::scripts::init::{FORMAT, Parameters};

/// Keys that are named.
const NAMED_MAX: usize = 20;
/// Keys of one SCAN.
const COUNT: usize = 1_000;

/// What was found.
pub(super) struct Remains {
    namespace: Namespace,
    /// The first keys, in the order of their names.
    pub(super) first: Vec<String>,
    pub(super) count: usize,
    /// The parameters that the head of each tag says; `None` for one that cannot be read.
    heads: BTreeMap<String, Option<Parameters>>,
}

pub(super) async fn find(link: &mut Link, namespace: &Namespace) -> Result<Remains, Failure> {
    let mut keys = BTreeSet::new();
    // Every node of a cluster: what one holds that cannot be asked is not known to be nothing.
    for server in link.server().clone().masters().await? {
        collect(&mut server.link().await?, namespace, &mut keys).await?;
    }
    let mut heads = BTreeMap::new();
    for key in keys.iter().filter(|key| key.ends_with("}:head")) {
        let tag = key.trim_end_matches(":head").to_owned();
        heads.insert(tag, head(link, key).await?);
    }
    let first = keys.iter().take(NAMED_MAX).cloned().collect();
    Ok(Remains { namespace: namespace.clone(), first, count: keys.len(), heads })
}

async fn collect(link: &mut Link, namespace: &Namespace, keys: &mut BTreeSet<String>) -> Result<(), Failure> {
    let mut cursor = "0".to_owned();
    loop {
        let mut command = redis::cmd("SCAN");
        command.arg(&cursor).arg("MATCH").arg(format!("{{{namespace}.*}}:*")).arg("COUNT").arg(COUNT);
        let (next, page): (String, Vec<Vec<u8>>) = link.query(&command).await?;
        let ours = |key: &String| {
            key.split_once(':').is_some_and(|(tag, _)| Tag::number_of(tag, namespace).is_some())
        };
        keys.extend(page.into_iter().filter_map(|key| String::from_utf8(key).ok()).filter(ours));
        if next == "0" {
            return Ok(());
        }
        cursor = next;
    }
}

async fn head(link: &mut Link, key: &str) -> Result<Option<Parameters>, Failure> {
    let mut command = redis::cmd("HMGET");
    command.arg(key).arg(&["format", "identity", "partitions", "retention_ms"]);
    let fields: [Option<String>; 4] = match link.query(&command).await {
        Err(Failure::Server { .. }) => return Ok(None),
        fields => fields?,
    };
    let [Some(format), Some(identity), Some(partitions), Some(retention_ms)] = fields else {
        return Ok(None);
    };
    let read = || {
        Some(Parameters {
            identity: Identity::parse(&identity)?,
            partitions: Partitions::new(partitions.parse().ok()?)?,
            retention: Duration::from_millis(retention_ms.parse().ok()?),
        })
    };
    Ok(read().filter(|_| format == FORMAT))
}

impl Remains {
    /// The parameters and tags of the namespace, if every head of it is there and all say the same.
    pub(super) fn of_heads(&self) -> Option<(Parameters, Vec<Tag>)> {
        let parameters = self.heads.values().next()?.clone()?;
        let is_one =
            self.heads.values().flatten().all(|other| {
                other.identity == parameters.identity && other.partitions == parameters.partitions
            });
        let mut tags: Vec<(u16, &str)> = Vec::with_capacity(self.heads.len());
        for (tag, head) in &self.heads {
            head.as_ref()?;
            tags.push((Tag::number_of(tag, &self.namespace)?, tag));
        }
        tags.sort_unstable();
        let list: Vec<&str> = tags.into_iter().map(|(_, tag)| tag).collect();
        let tags = Tag::parse_all(&list.join(" "), &self.namespace, parameters.partitions)?;
        is_one.then_some((parameters, tags))
    }
}

//! The servers that have the data of an address now: of a cluster several.

use std::collections::BTreeMap;

use ::redis::aio::MultiplexedConnection;
use anyhow::{Context, bail};

use super::redis::{ask, keys, link};

/// A connection to each of them, past all faults of the way.
pub(super) async fn links(url: &str) -> anyhow::Result<Vec<MultiplexedConnection>> {
    let mut links = Vec::new();
    for master in masters(url).await? {
        links.push(link(&master).await?);
    }
    Ok(links)
}

/// Every key that the pattern finds on any of them, and where it is. Only for a namespace of a run.
pub(super) async fn keys_of(
    url: &str,
    pattern: &str,
) -> anyhow::Result<Vec<(MultiplexedConnection, String)>> {
    let mut found = Vec::new();
    for mut link in links(url).await? {
        let keys = keys(&mut link, pattern).await?;
        found.extend(keys.into_iter().map(|key| (link.clone(), key)));
    }
    found.sort_by(|(_, one), (_, other)| one.cmp(other));
    Ok(found)
}

async fn masters(url: &str) -> anyhow::Result<Vec<String>> {
    if let Some(hosts) = url.strip_prefix("redis+cluster://") {
        let mut last = None;
        for host in hosts.split(',') {
            match nodes(host).await {
                Ok(masters) => return Ok(masters),
                Err(problem) => last = Some(problem),
            }
        }
        return Err(last.context("an address of no host")?);
    }
    if let Some(watched) = url.strip_prefix("redis+sentinel://") {
        let (hosts, name) = watched.split_once('/').context("the Sentinels' name of the master")?;
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        for host in hosts.split(',') {
            if let Ok(master) = named_by(host, name).await {
                *named.entry(master).or_default() += 1;
            }
        }
        // One that has just come back may not have heard of the last failover.
        let most = named.into_iter().max_by_key(|(_, count)| *count);
        return Ok(vec![most.context("no Sentinel names a master")?.0]);
    }
    Ok(vec![url.to_owned()])
}

/// CLUSTER NODES: `id host:port@bus flags master ping pong epoch state slots…`.
async fn nodes(host: &str) -> anyhow::Result<Vec<String>> {
    let said: String = ask(&mut link(&format!("redis://{host}")).await?, &["CLUSTER", "NODES"]).await?;
    let master = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_master = words.get(2)?.contains("master") && words.len() > 8;
        is_master.then(|| format!("redis://{}", words[1].split('@').next().unwrap_or_default()))
    };
    let masters: Vec<String> = said.lines().filter_map(master).collect();
    if masters.is_empty() {
        bail!("{host} knows no node that has slots");
    }
    Ok(masters)
}

async fn named_by(sentinel: &str, name: &str) -> anyhow::Result<String> {
    let mut link = link(&format!("redis://{sentinel}")).await?;
    let (host, port): (String, u16) = ask(&mut link, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]).await?;
    Ok(format!("redis://{host}:{port}"))
}

//! A Consul that is somebody else's: named by `CONSUL_ADDR`, never started here.
//!
//! What the run makes there has a name of its own, and goes at its end: its sessions are destroyed and its keys
//! deleted. Of a run that is killed, sessions end by themselves and take the keys that they hold with them.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use tollgate::env;

use super::etcd::http_client;

/// The least TTL of a session, unless the server's `session_ttl_min` says otherwise.
pub(in crate::race) const TTL_MIN: Duration = Duration::from_secs(10);
/// How long it may take to say whether it works.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// Where it is, and the part of it that is this run's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::race) struct Address {
    base: String,
    /// The beginning of every key, and the name of every session.
    pub(in crate::race) prefix: String,
}

impl Address {
    /// The part of one test.
    #[cfg(test)]
    pub(in crate::race) fn of_test(address: &str) -> Self {
        Self { base: format!("http://{address}"), prefix: "test".to_owned() }
    }

    /// `/v1/` and these, each one part of the path.
    pub(in crate::race) fn url(&self, path: &[&str]) -> anyhow::Result<Url> {
        let rule = || format!("{}={}: must be HOST:PORT or http://HOST:PORT", env::CONSUL_ADDR, self.base);
        let mut url = Url::parse(&self.base).with_context(rule)?;
        url.path_segments_mut().ok().with_context(rule)?.push("v1").extend(path);
        Ok(url)
    }
}

/// The one that is named, if one is: it has to work.
pub(super) async fn find() -> anyhow::Result<Option<Address>> {
    let Some(named) = env::text(env::CONSUL_ADDR) else { return Ok(None) };
    let base = if named.contains("://") { named } else { format!("http://{named}") };
    let address = Address { base, prefix: format!("tollgate-race-{:016x}", rand::random::<u64>()) };
    let url = address.url(&["status", "leader"])?;
    let asked = async { http_client()?.get(url).send().await?.error_for_status()?.text().await };
    let leader = tokio::time::timeout(READY_WITHIN, asked).await;
    let leader = leader.context("it does not answer").and_then(|answer| Ok(answer?));
    let leader = leader.with_context(|| format!("{}={}", env::CONSUL_ADDR, address.base))?;
    ensure!(leader.trim().len() > 2, "{}={}: this Consul has no leader", env::CONSUL_ADDR, address.base);
    Ok(Some(address))
}

/// A session as the list shows it.
#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name")]
    name: String,
}

/// Removes what this run has made.
pub(super) async fn clean_up(address: &Address) -> anyhow::Result<()> {
    let http = http_client()?;
    let list = http.get(address.url(&["session", "list"])?).send().await?.error_for_status()?;
    let sessions: Vec<Listed> = serde_json::from_str(&list.text().await?)?;
    for session in sessions.iter().filter(|session| session.name == address.prefix) {
        put(&http, address.url(&["session", "destroy", &session.id])?).await?;
    }
    let mut keys = address.url(&["kv", &address.prefix, ""])?;
    keys.set_query(Some("recurse"));
    http.delete(keys).send().await?.error_for_status()?;
    Ok(())
}

async fn put(http: &Client, url: Url) -> reqwest::Result<()> {
    http.put(url).send().await?.error_for_status().map(drop)
}

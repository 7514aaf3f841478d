//! etcd's lock: a key under a lease, and the waiters in order of their revisions. Its token is the revision of the
//! store when it was granted.
//!
//! Spoken to by etcd's own HTTP gateway (`/v3/lock`, `/v3/lease`), with JSON in which bytes are base64 and 64-bit
//! numbers are strings.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::{BoxFuture, FutureExt};
use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Lock;
use crate::race::servers::Addresses;
use crate::race::servers::etcd::http_client;

pub(super) struct Etcd {
    http: Client,
    url: String,
    ttl: Duration,
    lease: Option<Lease>,
    held: Option<Held>,
}

struct Lease {
    id: String,
    until: Instant,
}

struct Held {
    key: String,
    revision: i64,
    /// When the lease ends that it hangs on.
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "TTL")]
    ttl: String,
}

#[derive(Deserialize)]
struct Locked {
    header: Header,
    key: String,
}

#[derive(Deserialize)]
struct Header {
    revision: String,
}

impl Etcd {
    /// etcd counts leases in seconds: `ttl` is rounded up.
    pub(super) fn open(addresses: &Addresses, ttl: Duration) -> anyhow::Result<Self> {
        let url = addresses.etcd.clone().context("etcd does not run")?;
        Ok(Self { http: http_client()?, url, ttl, lease: None, held: None })
    }

    async fn call<T: DeserializeOwned>(&self, path: &str, body: Value) -> anyhow::Result<T> {
        let answer = self.http.post(format!("{}/v3/{path}", self.url)).json(&body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "etcd answers {status} to {path}: {text}");
        serde_json::from_str(&text).with_context(|| format!("etcd's answer to {path}: {text}"))
    }

    /// A lease with at least half of its time left. One lease serves many locks, one after the other.
    async fn lease(&mut self) -> anyhow::Result<(String, Instant)> {
        let asked_at = Instant::now();
        match &self.lease {
            Some(lease) if lease.until > asked_at + self.ttl / 2 => {}
            _ => {
                let seconds = self.ttl.as_secs_f64().ceil() as u64;
                let granted: Granted = self.call("lease/grant", json!({ "TTL": seconds })).await?;
                let until = asked_at + Duration::from_secs(granted.ttl.parse()?);
                self.lease = Some(Lease { id: granted.id, until });
            }
        }
        self.lease.as_ref().map(|lease| (lease.id.clone(), lease.until)).context("no lease")
    }
}

impl Lock for Etcd {
    fn take<'a>(&'a mut self, name: &'a str) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let (lease, until) = self.lease().await?;
            let body = json!({ "name": STANDARD.encode(name), "lease": lease });
            let Locked { header, key } = self.call("lock/lock", body).await?;
            self.held = Some(Held { key, revision: header.revision.parse()?, until });
            Ok(())
        }
        .boxed()
    }

    fn is_held(&self) -> bool {
        self.held.as_ref().is_some_and(|held| Instant::now() < held.until)
    }

    fn token(&mut self) -> BoxFuture<'_, anyhow::Result<i64>> {
        async move { Ok(self.held.as_ref().context("no lock is held")?.revision) }.boxed()
    }

    fn release(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        async move {
            if let Some(held) = self.held.take() {
                let _: Value = self.call("lock/unlock", json!({ "key": held.key })).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

//! Consul's lock: a key that a session acquires, until it releases it or ends. Its token is the index of the change
//! that acquired it: unlike the key's own count of holders it also rises where the key was deleted meanwhile.
//!
//! Spoken to by Consul's HTTP interface (`/v1/session`, `/v1/kv`). One session serves many locks, one after the other.
//! Its TTL is the least time that it lasts without a renewal; Consul waits for twice as long, so this side's clock is
//! the strict one. There is no lock delay to speak of: what a stopped holder does is what the lab is to show.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::future::{BoxFuture, FutureExt};
use reqwest::{Client, Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Lock;
use crate::race::servers::Addresses;
use crate::race::servers::consul::{Address, TTL_MIN};
use crate::race::servers::etcd::http_client;

/// The shortest that is more than none, which Consul would read as its own 15 s.
const LOCK_DELAY: &str = "1ms";
/// Between two tries while the lock delay of an earlier holder runs.
const DELAYED: Duration = Duration::from_millis(5);

pub(super) struct Consul {
    http: Client,
    address: Address,
    ttl: Duration,
    session: Option<Session>,
    held: Option<Held>,
}

#[derive(Clone)]
struct Session {
    id: String,
    ttl: Duration,
    until: Instant,
}

struct Held {
    name: String,
    session: Session,
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "ModifyIndex")]
    modify_index: i64,
    #[serde(rename = "Session")]
    session: Option<String>,
}

/// What Consul answered.
struct Answer {
    status: StatusCode,
    /// Which read may be waited for.
    index: Option<String>,
    text: String,
}

impl Answer {
    /// Its JSON, or an error with its words.
    fn read<T: for<'de> Deserialize<'de>>(&self, to: &str) -> anyhow::Result<T> {
        let Self { status, text, .. } = self;
        if !status.is_success() {
            bail!("Consul answers {status} to {to}: {}", text.trim());
        }
        serde_json::from_str(text).with_context(|| format!("Consul's answer to {to}: {text}"))
    }
}

impl Consul {
    /// Consul takes whole seconds here: `ttl` is rounded up.
    pub(super) fn open(addresses: &Addresses, ttl: Duration) -> anyhow::Result<Self> {
        let address = addresses.consul.clone().context("no Consul is named")?;
        let ttl = Duration::from_secs(ttl.as_secs_f64().ceil() as u64);
        Ok(Self { http: http_client()?, address, ttl, session: None, held: None })
    }

    async fn call(&self, method: Method, url: Url, body: Option<Value>) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.context("calling Consul")?;
        let index = answer.headers().get("X-Consul-Index").and_then(|index| index.to_str().ok());
        let (status, index) = (answer.status(), index.map(str::to_owned));
        Ok(Answer { status, index, text: answer.text().await.context("reading Consul's answer")? })
    }

    /// A key, with this query.
    fn key(&self, name: &str, query: &str) -> anyhow::Result<Url> {
        let mut url = self.address.url(&["kv", &self.address.prefix, name])?;
        url.set_query(Some(query));
        Ok(url)
    }

    /// A session with at least half of its time left.
    async fn session(&mut self) -> anyhow::Result<Session> {
        let asked_at = Instant::now();
        if let Some(session) = self.session.take() {
            let session = match session.until > asked_at + session.ttl / 2 {
                true => Some(session),
                false => self.renew(session, asked_at).await?,
            };
            if let Some(session) = session {
                return Ok(self.session.insert(session).clone());
            }
        }
        let session = match self.create(self.ttl, asked_at).await? {
            Some(session) => session,
            None => self.create(TTL_MIN, asked_at).await?.context("Consul refuses its own least TTL")?,
        };
        Ok(self.session.insert(session).clone())
    }

    /// `None` if the TTL is below the least that this server grants.
    async fn create(&self, ttl: Duration, asked_at: Instant) -> anyhow::Result<Option<Session>> {
        let body = json!({
            "Name": self.address.prefix, "TTL": format!("{}s", ttl.as_secs()), "LockDelay": LOCK_DELAY,
            "Behavior": "delete",
        });
        let answer = self.call(Method::PUT, self.address.url(&["session", "create"])?, Some(body)).await?;
        if ttl < TTL_MIN && answer.text.contains("Invalid Session TTL") {
            return Ok(None);
        }
        let Created { id } = answer.read("session/create")?;
        Ok(Some(Session { id, ttl, until: asked_at + ttl }))
    }

    /// `None` if it has ended.
    async fn renew(&self, session: Session, asked_at: Instant) -> anyhow::Result<Option<Session>> {
        let url = self.address.url(&["session", "renew", &session.id])?;
        let answer = self.call(Method::PUT, url, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.read::<Value>("session/renew")?;
        Ok(Some(Session { until: asked_at + session.ttl, ..session }))
    }

    /// Whether it is ours now; `None` if the session has ended.
    async fn acquire(&self, name: &str, session: &Session) -> anyhow::Result<Option<bool>> {
        let url = self.key(name, &format!("acquire={}", session.id))?;
        let answer = self.call(Method::PUT, url, None).await?;
        if answer.text.contains("invalid session") {
            return Ok(None);
        }
        answer.read("kv?acquire").map(Some)
    }

    /// The key as the leader has it, and the index that its next change is after; `None` if there is none.
    async fn look(&self, name: &str) -> anyhow::Result<Option<(Key, Option<String>)>> {
        let answer = self.call(Method::GET, self.key(name, "consistent")?, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let keys: Vec<Key> = answer.read("kv")?;
        Ok(keys.into_iter().next().map(|key| (key, answer.index)))
    }

    /// Waits until another try may succeed, for so long at most that our own session does not end meanwhile.
    async fn wait(&self, name: &str, session: &Session) -> anyhow::Result<()> {
        match self.look(name).await? {
            Some((Key { session: Some(_), .. }, Some(index))) => {
                let wait = format!("consistent&index={index}&wait={}ms", session.ttl.as_millis() / 3);
                self.call(Method::GET, self.key(name, &wait)?, None).await?;
            }
            // Nobody has it, and still it cannot be had.
            Some(_) => tokio::time::sleep(DELAYED).await,
            None => {}
        }
        Ok(())
    }
}

impl Lock for Consul {
    fn take<'a>(&'a mut self, name: &'a str) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            loop {
                let session = self.session().await?;
                match self.acquire(name, &session).await? {
                    Some(true) => {
                        self.held = Some(Held { name: name.to_owned(), session });
                        return Ok(());
                    }
                    Some(false) => self.wait(name, &session).await?,
                    None => self.session = None,
                }
            }
        }
        .boxed()
    }

    fn is_held(&self) -> bool {
        self.held.as_ref().is_some_and(|held| Instant::now() < held.session.until)
    }

    fn token(&mut self) -> BoxFuture<'_, anyhow::Result<i64>> {
        async move {
            let held = self.held.as_ref().context("no lock is held")?;
            match self.look(&held.name).await? {
                Some((key, _)) if key.session.as_ref() == Some(&held.session.id) => Ok(key.modify_index),
                _ => bail!("the lock has ended before its token was read"),
            }
        }
        .boxed()
    }

    fn release(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        async move {
            if let Some(Held { name, session }) = self.held.take() {
                let url = self.key(&name, &format!("release={}", session.id))?;
                // Answers false if it had ended.
                self.call(Method::PUT, url, None).await?.read::<bool>("kv?release")?;
            }
            Ok(())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;

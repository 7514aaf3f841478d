//! One Redis server: the only one, the master that Sentinels name, or a node of a cluster. Hands out connections, from a
//! pool or of their own.
//!
//! Relies on deadpool for the pool; a pooled connection is asked `PING` before it is handed out, so that one
//! that broke while idle is replaced rather than used. Must not hand out a connection twice at a time, and must
//! not wait without a bound: every way to a link ends within `LINK_WITHIN`.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::{Hook, HookError, Manager, Pool, PoolError, Runtime, TimeoutType};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Value};
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::error::EndpointError;
use super::inspection::Inspection;
use super::probe;
use crate::connection::classify::classify_connect;
use crate::connection::failure::{Failure, Refusal};

/// The most pooled connections of a process to one server. A worker's agents hold about ten, and its readers one for each
/// partition that has work.
const LINKS_MAX: usize = 512;
/// How long a caller waits for a pooled connection to become free.
const FREE_LINK_WITHIN: Duration = Duration::from_secs(5);
/// The bound on getting a link, several attempts included.
const LINK_WITHIN: Duration = Duration::from_secs(8);
/// A blocking command may answer this much later than it was asked to before its connection counts as dead.
const BLOCK_MARGIN: Duration = Duration::from_secs(2);

/// For how long nobody tries to connect to a node of a cluster again after it was not there: each attempt takes up to the
/// time that connecting may take, and whoever goes over all partitions would wait for each of its. After that one tries, and
/// the others are told the same until that attempt has ended.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// A server one can speak to. Cheap to clone; connects when a connection is asked for.
#[derive(Clone)]
pub(crate) struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    /// `host:port`, where it is a node of a cluster: failures say so.
    name: Option<Arc<str>>,
    /// Replaced as a whole when a password or a certificate was read again and has changed.
    opened: RwLock<Arc<Opened>>,
    inspection: Arc<Inspection>,
    /// How often it was found elsewhere: connections of before lead to what is the master no more.
    moves: AtomicU64,
    /// Why the node of a cluster was not there, and when that was.
    away: Mutex<Option<Away>>,
}

/// That nobody was there.
struct Away {
    since: Instant,
    why: Failure,
    is_tried: bool,
}

/// Boxed: a call on a connection that is there does not carry along what it takes to open one.
pub(crate) type Connecting<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

struct Opened {
    endpoint: Endpoint,
    pool: Pool,
    client: Client,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.endpoint().to_string()).finish()
    }
}

impl Node {
    /// The server at this endpoint. Does not connect yet.
    pub(super) fn new(endpoint: Endpoint, inspection: Arc<Inspection>, name: Option<Arc<str>>) -> Self {
        install_tls_provider();
        let opened = RwLock::new(Arc::new(Opened::new(endpoint, inspection.clone())));
        let (moves, away) = (AtomicU64::new(0), Mutex::new(None));
        Self { inner: Arc::new(Inner { name, opened, inspection, moves, away }) }
    }

    /// Its name among the nodes of a cluster, `host:port`.
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.inner.name.as_ref()
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The failure as one of this node.
    pub(crate) fn own(&self, failure: Failure) -> Failure {
        match self.name() {
            Some(name) => failure.of_node(name),
            None => failure,
        }
    }

    /// Why a node of a cluster is not connected to just now.
    pub(crate) fn away(&self) -> Option<Failure> {
        let away = self.lock_away();
        away.as_ref().filter(|away| away.is_left_alone()).map(|away| away.why.clone())
    }

    /// Takes note that a call was not answered in time: whoever needs a new connection would not be, either.
    pub(crate) fn was_silent(&self) {
        let why = self.own(Failure::not_applied(Refusal::Unreachable, "no answer to the call before"));
        self.is_away(why);
    }

    fn is_away(&self, why: Failure) {
        if self.name().is_some() {
            *self.lock_away() = Some(Away { since: Instant::now(), why, is_tried: false });
        }
    }

    fn lock_away(&self) -> std::sync::MutexGuard<'_, Option<Away>> {
        self.inner.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a connection comes about now.
    async fn there<T>(&self, connecting: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let attempt = Attempt::begin(self)?;
        let connected = connecting.await.map_err(|failure| self.own(failure));
        match &connected {
            Err(failure) if failure.refusal() == Some(Refusal::Unreachable) => self.is_away(failure.clone()),
            _ => attempt.succeeded(),
        }
        connected
    }

    /// The endpoint this server is at.
    pub(super) fn endpoint(&self) -> Endpoint {
        self.opened().endpoint.clone()
    }

    /// Reads the password and the authorities again from their files, for the connections that are opened from now on;
    /// answers whether they have changed. Also done by itself when a connection is refused.
    ///
    /// # Errors
    /// A file cannot be read, or holds no such thing: what was read before stays in use.
    pub(super) fn reload(&self) -> Result<bool, EndpointError> {
        let before = self.opened();
        let Some(endpoint) = before.endpoint.reread()? else { return Ok(false) };
        let opened = Arc::new(Opened::new(endpoint, self.inner.inspection.clone()));
        *self.inner.opened.write().unwrap_or_else(PoisonError::into_inner) = opened;
        before.pool.close();
        Ok(true)
    }

    pub(crate) fn inspection(&self) -> &Inspection {
        &self.inner.inspection
    }

    /// The same, for a server that is this node alone.
    pub(super) fn inspection_of_its_own(&self) -> Arc<Inspection> {
        self.inner.inspection.clone()
    }

    /// How often it was found elsewhere: a connection that was opened before is not to be used.
    pub(crate) fn moves(&self) -> u64 {
        self.inner.moves.load(Ordering::Acquire)
    }

    /// Asks the server again, on a new connection if the last answer was that it is unfit, or Sentinels name another: the
    /// address may lead elsewhere by now.
    ///
    /// # Errors
    /// Always [`Failure::NotApplied`].
    pub(crate) fn inspect_again(
        &self,
        held: Option<deadpool_redis::Connection>,
    ) -> Connecting<'_, deadpool_redis::Connection> {
        Box::pin(self.asked_again(held))
    }

    async fn asked_again(
        &self,
        held: Option<deadpool_redis::Connection>,
    ) -> Result<deadpool_redis::Connection, Failure> {
        let before = self.opened();
        // Who names nobody now changes nothing: the one that is known is asked.
        let is_moved = self.master(&before).await.is_ok_and(|now| !Arc::ptr_eq(&before, &now));
        if is_moved || self.inner.inspection.refusal().is_some() {
            drop(held.map(deadpool_redis::Connection::take));
            self.opened().pool.retain(|_, _| false);
            return self.pooled().await; // the greeting has asked
        }
        let mut connection = match held {
            Some(connection) => connection,
            None => self.pooled().await?,
        };
        match self.inner.inspection.ask(&mut connection).await {
            Ok(()) => Ok(connection),
            Err(failure) => {
                drop(deadpool_redis::Connection::take(connection));
                Err(describe(&self.opened().endpoint, failure))
            }
        }
    }

    /// A connection from the pool, connected and greeted.
    pub(crate) fn pooled(&self) -> Connecting<'_, deadpool_redis::Connection> {
        Box::pin(self.there(self.out_of_pool()))
    }

    /// A connection of its own, whose answers may take `block` longer.
    pub(crate) fn dedicated(&self, block: Duration) -> Connecting<'_, MultiplexedConnection> {
        Box::pin(self.there(self.of_its_own(block)))
    }

    async fn out_of_pool(&self) -> Result<deadpool_redis::Connection, Failure> {
        let opened = self.opened_somewhere().await?;
        match opened.pooled().await {
            Ok(connection) => Ok(connection),
            Err(failure) => {
                let opened = self.opened_anew(&opened, failure).await?;
                match opened.pooled().await {
                    Ok(connection) => Ok(connection),
                    Err(failure) => Err(explained(&opened.endpoint, failure).await),
                }
            }
        }
    }

    async fn of_its_own(&self, block: Duration) -> Result<MultiplexedConnection, Failure> {
        let (opened, inspection) = (self.opened_somewhere().await?, &self.inner.inspection);
        match opened.dedicated(block, inspection).await {
            Ok(connection) => Ok(connection),
            Err(failure) => {
                let opened = self.opened_anew(&opened, failure).await?;
                match opened.dedicated(block, inspection).await {
                    Ok(connection) => Ok(connection),
                    Err(failure) => Err(explained(&opened.endpoint, failure).await),
                }
            }
        }
    }

    fn opened(&self) -> Arc<Opened> {
        self.inner.opened.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, where the address is known.
    async fn opened_somewhere(&self) -> Result<Arc<Opened>, Failure> {
        let opened = self.opened();
        if opened.endpoint.is_found() { Ok(opened) } else { self.master(&opened).await }
    }

    /// What leads to the master that Sentinels name now; `before` itself if that is where it leads, or nobody is to be asked.
    async fn master(&self, before: &Arc<Opened>) -> Result<Arc<Opened>, Failure> {
        let Some(sentinels) = before.endpoint.sentinels() else { return Ok(before.clone()) };
        let at = sentinels.master().await.map_err(|failure| describe(&before.endpoint, failure))?;
        if before.endpoint.is_at(&at) {
            return Ok(before.clone());
        }
        let mut opened = self.inner.opened.write().unwrap_or_else(PoisonError::into_inner);
        // Of several who were told so at once, one moves.
        if Arc::ptr_eq(before, &opened) {
            *opened = Arc::new(Opened::new(before.endpoint.found_at(at), self.inner.inspection.clone()));
            self.inner.moves.fetch_add(1, Ordering::AcqRel);
            before.pool.close();
        }
        Ok(opened.clone())
    }

    /// After a refused connection: what is worth another attempt, since a secret has changed, or Sentinels name another
    /// master; otherwise the failure.
    async fn opened_anew(&self, refused: &Arc<Opened>, failure: Failure) -> Result<Arc<Opened>, Failure> {
        // A wrong certificate is no more to us than a connection that does not come about.
        if matches!(
            failure.refusal(),
            Some(Refusal::Credentials | Refusal::Tls | Refusal::Unreachable | Refusal::Client)
        ) {
            let reread = self.reload();
            let opened = self.opened();
            if !Arc::ptr_eq(refused, &opened) {
                return Ok(opened);
            }
            if let Err(error) = reread {
                return Err(describe(&refused.endpoint, noting(failure, &error)));
            }
            match self.master(refused).await {
                Ok(now) if !Arc::ptr_eq(refused, &now) => return Ok(now),
                Ok(_) => {}
                Err(silent) => return Err(silent),
            }
        }
        Err(explained(&refused.endpoint, failure).await)
    }
}

/// An attempt to connect to a node; if the node was away, the only one.
struct Attempt<'a> {
    node: &'a Node,
    is_only: bool,
}

impl<'a> Attempt<'a> {
    fn begin(node: &'a Node) -> Result<Self, Failure> {
        let mut away = node.lock_away();
        match &mut *away {
            None => Ok(Self { node, is_only: false }),
            Some(away) if away.is_left_alone() => Err(away.why.clone()),
            Some(away) => {
                away.is_tried = true;
                Ok(Self { node, is_only: true })
            }
        }
    }

    /// The node has answered, whatever it said.
    fn succeeded(&self) {
        if self.is_only {
            *self.node.lock_away() = None;
        }
    }
}

impl Drop for Attempt<'_> {
    /// Also of an attempt that was given up midway: the next one may try.
    fn drop(&mut self) {
        if self.is_only
            && let Some(away) = &mut *self.node.lock_away()
        {
            away.is_tried = false;
        }
    }
}

impl Away {
    fn is_left_alone(&self) -> bool {
        self.is_tried || self.since.elapsed() < LEFT_ALONE
    }
}

/// Finds out the cause of a failure that does not say it, and adds the address.
async fn explained(endpoint: &Endpoint, failure: Failure) -> Failure {
    describe(endpoint, probe::explained(endpoint, failure).await)
}

/// Adds the address to what went wrong.
fn describe(endpoint: &Endpoint, failure: Failure) -> Failure {
    match failure {
        Failure::NotApplied { .. } => failure.in_words(|detail| format!("{endpoint}: {detail}")),
        other => other,
    }
}

/// Adds why a secret could not be read again.
fn noting(failure: Failure, error: &EndpointError) -> Failure {
    match failure {
        Failure::NotApplied { .. } => failure.in_words(|detail| format!("{detail}; and {error}")),
        other => other,
    }
}

impl Opened {
    /// Does not connect yet. What could be wrong with the endpoint was refused when it was parsed.
    fn new(endpoint: Endpoint, inspection: Arc<Inspection>) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(endpoint.connect_timeout()))
            .set_response_timeout(Some(endpoint.response_timeout()));
        let manager =
            Manager::new_with_config(endpoint.info(), config).expect("a parsed endpoint opens a client");
        let client = Client::open(endpoint.info()).expect("a parsed endpoint opens a client");
        let pool = Pool::builder(manager)
            .max_size(LINKS_MAX)
            .wait_timeout(Some(FREE_LINK_WITHIN))
            .create_timeout(Some(endpoint.connect_timeout() * 2))
            .recycle_timeout(Some(endpoint.connect_timeout()))
            .post_create(Hook::async_fn(move |connection: &mut MultiplexedConnection, _| {
                let inspection = inspection.clone();
                Box::pin(async move { greet(connection, &inspection).await.map_err(HookError::Backend) })
            }))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a pool with a runtime builds");
        Self { endpoint, pool, client }
    }

    async fn pooled(&self) -> Result<deadpool_redis::Connection, Failure> {
        match tokio::time::timeout(LINK_WITHIN, self.pool.get()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(pool_failure(error)),
            Err(_) => Err(no_answer()),
        }
    }

    async fn dedicated(
        &self,
        block: Duration,
        inspection: &Inspection,
    ) -> Result<MultiplexedConnection, Failure> {
        let timeout = block.saturating_add(BLOCK_MARGIN).max(self.endpoint.response_timeout());
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.endpoint.connect_timeout()))
            .set_response_timeout(Some(timeout));
        let open = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            greet(&mut connection, inspection).await?;
            Ok::<_, RedisError>(connection)
        };
        match tokio::time::timeout(LINK_WITHIN, open).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(classify_connect(&error)),
            Err(_) => Err(no_answer()),
        }
    }
}

fn no_answer() -> Failure {
    Failure::not_applied(Refusal::Unreachable, "no answer while connecting")
}

/// Asks a new connection for its first answer, so that a server that accepts but does not answer, still loads,
/// or wants a login is noticed before a call of ours is on the way (and is then a definite refusal).
async fn greet(connection: &mut MultiplexedConnection, inspection: &Inspection) -> Result<(), RedisError> {
    match connection.send_packed_command(&redis::cmd("PING")).await? {
        // An ACL user without PING, or a full disk, on which Redis refuses PING as it does writes: the server answered,
        // that is all we want to know. Whoever writes is told; whoever reads goes on.
        Value::ServerError(error) if !matches!(error.code(), "NOPERM" | "MISCONF") => {
            return Err(error.into());
        }
        _ => {}
    }
    inspection.ask(connection).await.map_err(|failure| {
        RedisError::from((
            redis::ErrorKind::Io,
            "the server cannot be asked about itself",
            failure.to_string(),
        ))
    })
}

fn pool_failure(error: PoolError) -> Failure {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            classify_connect(&error)
        }
        PoolError::Timeout(TimeoutType::Wait) => {
            Failure::not_applied(Refusal::NoLink, format!("all {LINKS_MAX} connections are in use"))
        }
        PoolError::Timeout(_) => Failure::not_applied(Refusal::Unreachable, "no answer while connecting"),
        other => Failure::not_applied(Refusal::Client, other.to_string()),
    }
}

/// rustls wants one provider of cryptography per process, named before the first TLS connection.
fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An application that links the library may have chosen another: then that one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

//! One Redis server: hands out links, from a pool or of their own.
//!
//! Relies on deadpool for the pool; a pooled connection is asked `PING` before it is handed out, so that one
//! that broke while idle is replaced rather than used. Must not hand out a connection twice at a time, and must
//! not wait without a bound: every way to a link ends within `LINK_WITHIN`.

use std::fmt;
use std::sync::{Arc, Once};
use std::time::Duration;

use deadpool_redis::{Hook, HookError, Manager, Pool, PoolError, Runtime, TimeoutType};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Value};

use super::Endpoint;
use crate::failure::{Failure, Refusal, classify_connect};
use crate::link::{BlockingLink, Link};

/// The most pooled connections of a process; the agents of a worker hold about ten.
const LINKS_MAX: usize = 64;
/// How long a caller waits for a pooled connection to become free.
const FREE_LINK_WITHIN: Duration = Duration::from_secs(5);
/// The bound on getting a link, several attempts included.
const LINK_WITHIN: Duration = Duration::from_secs(8);
/// A blocking command may answer this much later than it was asked to before its connection counts as dead.
const BLOCK_MARGIN: Duration = Duration::from_secs(2);

/// A Redis server one can speak to. Cheap to clone; connects when a link is asked for.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    pool: Pool,
    client: Client,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.inner.endpoint.to_string()).finish()
    }
}

impl Server {
    /// A server at this endpoint. Does not connect yet.
    ///
    /// # Panics
    /// Never: what could be wrong with the endpoint was refused when it was parsed.
    pub fn open(endpoint: Endpoint) -> Self {
        install_tls_provider();
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
            .post_create(Hook::async_fn(|connection: &mut MultiplexedConnection, _| {
                Box::pin(async move { greet(connection).await.map_err(HookError::Backend) })
            }))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a pool with a runtime builds");
        Self { inner: Arc::new(Inner { endpoint, pool, client }) }
    }

    /// A link from the pool, connected and greeted.
    ///
    /// # Errors
    /// Always [`Failure::NotApplied`]: nothing was sent yet.
    pub async fn link(&self) -> Result<Link, Failure> {
        Ok(Link::new(self.clone(), self.pooled().await?))
    }

    /// A connection of its own for commands that block for up to `block`.
    ///
    /// # Errors
    /// As [`Server::link`].
    pub async fn blocking_link(&self, block: Duration) -> Result<BlockingLink, Failure> {
        Ok(BlockingLink::new(self.clone(), block, self.dedicated(block).await?))
    }

    /// The endpoint this server is at.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    pub(crate) async fn pooled(&self) -> Result<deadpool_redis::Connection, Failure> {
        match tokio::time::timeout(LINK_WITHIN, self.inner.pool.get()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.describe(pool_failure(error))),
            Err(_) => Err(self.no_answer()),
        }
    }

    pub(crate) async fn dedicated(&self, block: Duration) -> Result<MultiplexedConnection, Failure> {
        let endpoint = &self.inner.endpoint;
        let timeout = block.saturating_add(BLOCK_MARGIN).max(endpoint.response_timeout());
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(endpoint.connect_timeout()))
            .set_response_timeout(Some(timeout));
        let open = async {
            let mut connection =
                self.inner.client.get_multiplexed_async_connection_with_config(&config).await?;
            greet(&mut connection).await?;
            Ok::<_, RedisError>(connection)
        };
        match tokio::time::timeout(LINK_WITHIN, open).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.describe(classify_connect(&error))),
            Err(_) => Err(self.no_answer()),
        }
    }

    fn no_answer(&self) -> Failure {
        self.describe(Failure::not_applied(Refusal::Unreachable, "no answer while connecting"))
    }

    /// Adds the address to what went wrong.
    fn describe(&self, failure: Failure) -> Failure {
        match failure {
            Failure::NotApplied { reason, detail } => {
                Failure::NotApplied { reason, detail: format!("{}: {detail}", self.inner.endpoint) }
            }
            other => other,
        }
    }
}

/// Asks a new connection for its first answer, so that a server that accepts but does not answer, still loads,
/// or wants a login is noticed before a call of ours is on the way (and is then a definite refusal).
async fn greet(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    match connection.send_packed_command(&redis::cmd("PING")).await? {
        // An ACL user without PING: the server answered, that is all we want to know.
        Value::ServerError(error) if error.code() != "NOPERM" => Err(error.into()),
        _ => Ok(()),
    }
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

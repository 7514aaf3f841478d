//! A proxy in front of a redis-server: holds requests back, or loses one, or its reply.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tollgate::embedded::Temporary;
use tollgate_testkit::proxy::{self, Fate, Weather};

/// Ends with its runtime; its socket lies in the server's directory, which ends with the server.
pub(super) struct Proxy(proxy::Proxy);

/// What gets lost, with its connection.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Lose {
    /// It never reaches the server.
    Request,
    /// The server has executed the request.
    Reply,
}

impl Proxy {
    /// In front of `redis`.
    pub(super) fn new(redis: &Temporary) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let socket = redis.dir().join(format!("proxy{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        Self(proxy::Proxy::listen(&socket, redis.socket(), 0).unwrap())
    }

    /// In front of `redis`, behind a link on which each packet takes so long, one way.
    pub(super) fn slow(redis: &Temporary, delay: Duration) -> Self {
        let proxy = Self::new(redis);
        proxy.set(Weather { delay: Some((delay, delay)), ..Weather::default() });
        proxy
    }

    /// Loses the next request in which `text` occurs, or its reply; its client sees a closed connection.
    pub(super) fn lose(&self, what: Lose, text: &'static str) {
        self.trap(if what == Lose::Reply { Fate::ReplyLost } else { Fate::RequestLost }, text, 0);
    }

    pub(super) fn has_lost(&self) -> bool {
        self.is_sprung()
    }
}

impl Deref for Proxy {
    type Target = proxy::Proxy;

    fn deref(&self) -> &proxy::Proxy {
        &self.0
    }
}

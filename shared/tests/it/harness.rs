//! A redis-server for the tests, started by the code that starts the private server.
//!
//! Shared by all tests of a process, apart by namespace; whoever stops, fills or stalls its server gets one
//! of its own. It ends with the process, also when that is killed (see `Temporary`).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::embedded::Temporary;
use tollgate::ids::GatewayName;
use tollgate::link::Link;
use tollgate::payout_key::PayoutKey;

/// How long a test waits for anything.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Where the payouts of a test go.
pub(crate) static GATEWAY: LazyLock<GatewayName> = LazyLock::new(|| "gateway".parse().unwrap());
/// Under which key, where it does not matter.
pub(crate) static PAYOUT_KEY: LazyLock<PayoutKey> = LazyLock::new(|| {
    PayoutKey::of(None, &"tests".parse().unwrap(), &"account".parse().unwrap(), &"job".parse().unwrap())
});

pub(crate) struct TestRedis;

impl TestRedis {
    /// The server that the tests of this process share.
    pub(crate) fn shared() -> Server {
        static SHARED: OnceLock<Temporary> = OnceLock::new();
        Self::server(SHARED.get_or_init(|| Self::private(&[])))
    }

    /// A server of one's own; `extra` are settings as on the command line.
    pub(crate) fn private(extra: &[&str]) -> Temporary {
        let mut settings = vec!["--enable-debug-command", "yes"];
        settings.extend(extra);
        Temporary::start(&settings).unwrap()
    }

    /// Links die with the runtime that made them, and each test has its own: so each opens its own server.
    pub(crate) fn server(redis: &Temporary) -> Server {
        Self::server_with(redis, None)
    }

    pub(crate) fn server_with(redis: &Temporary, response_timeout: Option<Duration>) -> Server {
        let options = RedisOptions { url: Some(redis.url()), response_timeout, ..RedisOptions::default() };
        Server::open(Endpoint::parse(&options).unwrap())
    }

    pub(crate) async fn link() -> Link {
        Self::shared().link().await.unwrap()
    }

    /// A namespace that no other test uses.
    pub(crate) fn ns() -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Waits until `condition` gives a value.
pub(crate) async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(begun.elapsed() < SOON, "waited {SOON:?} for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A command of its words.
pub(crate) fn cmd(words: &[&str]) -> redis::Cmd {
    let mut cmd = redis::Cmd::new();
    for word in words {
        cmd.arg(*word);
    }
    cmd
}

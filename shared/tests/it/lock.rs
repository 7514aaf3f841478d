//! Locks on real servers: contended, occupied, black-holed, killed, restarted empty, with lost replies.

mod basics;
mod clock;
mod contention;
mod failing_nodes;
mod fence;
mod line;
mod links;
mod lost_replies;
mod nodes;
mod page;
mod processes;
mod proxy;
mod repair;
mod validity;
mod waiting;

use std::convert::Infallible;
use std::sync::OnceLock;
use std::time::Duration;

use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::embedded::Temporary;
use tollgate::ids::{LockName, Namespace};
use tollgate::lock::{LockNodes, LockOptions, Locks, Renewal};

use crate::harness::{cmd, servers};

/// So long that only a release can have ended it, and no slow machine.
const LONG: Duration = Duration::from_secs(600);

/// Lock nodes under one namespace.
struct Fleet {
    ns: Namespace,
    urls: Vec<String>,
}

impl Fleet {
    /// `count` of five servers that tests share; nobody may stop them.
    fn shared(count: usize) -> Self {
        static SHARED: OnceLock<Vec<Temporary>> = OnceLock::new();
        let all = SHARED.get_or_init(|| Self::start(5));
        Self::of(&all[..count])
    }

    /// Servers that keep nothing when they die.
    fn start(count: usize) -> Vec<Temporary> {
        (0..count).map(|_| servers::private(&["--appendonly", "no"])).collect()
    }

    fn of(servers: &[Temporary]) -> Self {
        Self::at(servers.iter().map(Temporary::url).collect())
    }

    fn at(urls: Vec<String>) -> Self {
        Self { ns: servers::namespace(), urls }
    }

    fn locks(&self) -> Locks {
        Locks::new(LockNodes::open(&self.urls, None).unwrap(), self.ns.clone())
    }

    fn key(&self, name: &LockName) -> String {
        tollgate::keys::Keys::lock(&self.ns, name)
    }

    /// The key of who is next in line.
    fn next_key(&self, name: &LockName) -> String {
        tollgate::keys::Keys::lock_next(&self.ns, name)
    }

    async fn run<T: redis::FromRedisValue>(&self, node: usize, words: &[&str]) -> T {
        query(&self.urls[node], words).await
    }

    /// Who has the lock on each node.
    async fn owners(&self, name: &LockName) -> Vec<Option<String>> {
        self.owners_of(&(0..self.urls.len()).collect::<Vec<_>>(), name).await
    }

    /// Who has the lock on these nodes.
    async fn owners_of(&self, nodes: &[usize], name: &LockName) -> Vec<Option<String>> {
        let mut owners = Vec::new();
        for node in nodes {
            owners.push(self.run(*node, &["GET", &self.key(name)]).await);
        }
        owners
    }

    /// How many nodes hold any key of this namespace.
    async fn left_overs(&self) -> usize {
        let mut count = 0;
        for node in 0..self.urls.len() {
            let keys: Vec<String> = self.run(node, &["KEYS", &format!("{}:*", self.ns)]).await;
            count += keys.len();
        }
        count
    }
}

fn server(url: &str) -> Server {
    let options = RedisOptions { url: Some(url.into()), ..RedisOptions::default() };
    Server::open(Endpoint::parse(&options).unwrap())
}

async fn query<T: redis::FromRedisValue>(url: &str, words: &[&str]) -> T {
    server(url).link().await.unwrap().query(&cmd(words)).await.unwrap()
}

fn name() -> LockName {
    LockName::parse("invoice 17").unwrap()
}

/// One attempt for a long TTL, with patience for slow test machines.
fn long() -> LockOptions {
    LockOptions { node_timeout: crate::harness::SOON, ..LockOptions::of_ttl(LONG) }
}

fn by_hand(ttl: Duration) -> LockOptions {
    LockOptions { ttl, renewal: Renewal::ByHand, ..long() }
}

/// What work answers that cannot fail.
fn fine<T>(value: T) -> Result<T, Infallible> {
    Ok(value)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// For work that does not end by itself. Not `timeout`, which would ask the work once more before it gives up.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        () = tokio::time::sleep(crate::harness::SOON) => panic!("the work was not cancelled"),
        value = work => value,
    }
}

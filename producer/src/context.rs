//! What every command has: where Redis is, which namespace is meant, how to print.
//!
//! Nothing is connected before a command asks, so a wrong command line never waits for a server. Relies on
//! [`preflight`](tollgate::preflight) for whether a server may be used at all.

use std::time::Duration;

use tokio::sync::OnceCell;
use tollgate::connect::{self, Origin, RedisOptions, Safety, Server};
use tollgate::failure::{Failure, Refusal};
use tollgate::ids::{Actor, Namespace};
use tollgate::preflight::{Finding, Report, Tier};
use tollgate::span::span;
use tollgate::{OpenError, Tollgate};

use crate::cli::Global;
use crate::exit;
use crate::output::{self, Format, Output, Talk, complain, say, warn};
use crate::problems::{Kind, Problem};
use crate::waiting::Waiting;

/// The validated global options, and the server once it was asked for.
#[derive(Debug)]
pub(crate) struct Context {
    redis: RedisOptions,
    unsafe_redis: Safety,
    namespace: Namespace,
    by: Option<Actor>,
    output: Output,
    server: OnceCell<Server>,
}

impl Context {
    /// Takes the global options; connects to nothing.
    pub(crate) fn new(global: Global) -> Self {
        let format = if global.json { Format::Json } else { Format::Human };
        output::talk(Talk { format, quiet: global.quiet });
        let redis = RedisOptions {
            url: global.redis_url,
            ca_file: global.redis_ca,
            cert_file: global.redis_cert,
            key_file: global.redis_key,
            ..RedisOptions::from_env()
        };
        Self {
            redis,
            unsafe_redis: match global.accept {
                _ if global.allow_unsafe_redis => Safety::Warn,
                Some(accepted) => Safety::Accept(accepted),
                None => Safety::Refuse,
            },
            namespace: global.namespace,
            by: global.by,
            output: Output { format },
            server: OnceCell::new(),
        }
    }

    /// Stdout.
    pub(crate) fn output(&self) -> Output {
        self.output
    }

    /// The namespace that is meant.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What was said about Redis, for commands about the private server itself.
    pub(crate) fn redis(&self) -> &RedisOptions {
        &self.redis
    }

    /// The server, connected and found fit; the private one is started and said on stderr.
    pub(crate) async fn server(&self) -> anyhow::Result<Server> {
        self.server.get_or_try_init(|| self.connect()).await.cloned()
    }

    /// The namespace, which must be ready: for commands that read.
    pub(crate) async fn open(&self) -> anyhow::Result<Tollgate> {
        let server = self.server().await?;
        Ok(Tollgate::open(server, self.namespace.clone()).await?)
    }

    /// The namespace, for commands that write. On the private server it is initialised with the defaults if it is
    /// completely empty; on any other only `init` does that: a mistyped namespace or an emptied Redis must not begin
    /// from zero.
    pub(crate) async fn open_or_init(&self) -> anyhow::Result<Tollgate> {
        let tollgate = self.open_or_initialised().await?;
        self.acting(tollgate).await
    }

    /// The same, waiting up to `wait_max` for a Redis that is away or still loads.
    pub(crate) async fn open_or_init_within(&self, wait_max: Duration) -> anyhow::Result<Tollgate> {
        let mut waiting = Waiting::default();
        loop {
            let error = match self.open_or_init().await {
                Ok(tollgate) => return Ok(tollgate),
                Err(error) => error,
            };
            // Nothing has been sent yet: also what may have happened is only asked again.
            let may_pass = exit::failure_of(&error).is_some_and(Failure::is_transient);
            let Some(pause) = waiting.next(wait_max).filter(|_| may_pass) else { return Err(error) };
            if waiting.is_first() {
                warn(format_args!("waiting, up to {}: {error:#}", span(wait_max)));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The namespace, with whom the journal is to name for what is asked.
    pub(crate) async fn acting(&self, tollgate: Tollgate) -> anyhow::Result<Tollgate> {
        let by = match &self.by {
            Some(by) => by.clone(),
            None => connect::user(&mut tollgate.server().link().await?).await?.unwrap_or_default(),
        };
        Ok(tollgate.acting_as(by))
    }

    async fn open_or_initialised(&self) -> anyhow::Result<Tollgate> {
        let server = self.server().await?;
        match Tollgate::open(server.clone(), self.namespace.clone()).await {
            Err(OpenError::Empty(namespace)) if self.redis.url.is_none() => {
                say(format_args!(
                    "namespace {namespace} is empty: initialised with 1 partition and a retention of 7 days"
                ));
                Ok(Tollgate::open_or_init(server, namespace).await?)
            }
            other => Ok(other?),
        }
    }

    /// What makes this server unsafe, for whoever lists all that is wrong: `--allow-unsafe-redis` let it pass.
    pub(crate) async fn unsafe_redis_problems(&self) -> anyhow::Result<Vec<Problem>> {
        let report = self.judged(self.server().await?.link().await?.preflight(Tier::Memory).await?);
        let problem =
            |finding: &Finding| Problem::new(Kind::UnsafeRedis, finding.reason.as_str(), finding.hint);
        Ok(report.refusals().map(problem).collect())
    }

    /// The same, but for what was accepted.
    fn judged(&self, report: Report) -> Report {
        match self.unsafe_redis {
            Safety::Accept(accepted) => report.accepting(Some(accepted)),
            _ => report,
        }
    }

    async fn connect(&self) -> anyhow::Result<Server> {
        let (server, origin) = connect::connect(self.redis.clone()).await?;
        if let Origin::Embedded { dir, started } = origin {
            let what = if started { "started the private redis" } else { "using the private redis" };
            say(format_args!("{what} in {} (set REDIS_URL to use another)", dir.display()));
        }
        let report = self.judged(server.link().await?.preflight(Tier::Memory).await?);
        for finding in report.warnings().chain(report.accepted()) {
            warn(format_args!("{finding}"));
        }
        for finding in report.refusals() {
            match self.unsafe_redis {
                Safety::Warn => warn(format_args!("{finding}")),
                _ => complain(format_args!("{finding}")),
            }
        }
        if !report.is_fit() && self.unsafe_redis != Safety::Warn {
            let words = format!(
                "{} may lose or evict what it holds (--allow-unsafe-redis uses it all the same)",
                server.endpoint()
            );
            return Err(Failure::not_applied(Refusal::UnsafeRedis, words).into());
        }
        // Asked again on each new connection and once a minute, for what runs for long.
        server.inspect(self.unsafe_redis);
        Ok(server)
    }
}

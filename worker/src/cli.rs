//! The command line: what was typed ([`Args`]) becomes what the program needs ([`Config`]), checked once.
//!
//! Must not speak to Redis, and must not show a secret.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use tollgate::connect::{RedisOptions, Safety};
use tollgate::env;
use tollgate::ids::{Namespace, QueueName};
use tollgate::preflight::Accepted;
use tollgate::scripts::settle::BATCH_MAX;
use tollgate::span::span;

use crate::arguments::{duration, listen_address, number};
use crate::config::{Config, Queues};
use crate::log::LogFormat;
use crate::payout::options::{PayoutArgs, PayoutConfig};

/// What goes on at once in this process: payouts, whose gateway takes its time.
const CONCURRENCY_DEFAULT: usize = 10;
const CONCURRENCY_MAX: usize = 1_000;
const BATCH_DEFAULT: usize = 256;
/// Smaller batches than this cost more per job than they save others in waiting.
const BATCH_MIN_DEFAULT: usize = 64;
/// A claim idle below this would take entries from workers that are merely busy.
const CLAIM_IDLE_MIN: Duration = Duration::from_millis(100);
const WEIGHT_MAX: u32 = 1_000;

/// Settles Tollgate jobs, each once: fetch, decode, plan, settle.
#[derive(Debug, Parser)]
#[command(name = "tollgate-worker", version, about, max_term_width = 110, args_override_self = true)]
struct Args {
    /// Payouts in progress at most; settle calls in flight, up to 2
    #[arg(short, long, value_name = "N", env = env::TOLLGATE_CONCURRENCY, default_value_t = CONCURRENCY_DEFAULT, value_parser = concurrency)]
    concurrency: usize,

    /// A queue to serve, with its weight (repeatable, or TOLLGATE_QUEUES="a,3 b"); without any: every queue
    #[arg(short, long = "queue", value_name = "QUEUE[,WEIGHT]")]
    queues: Vec<String>,

    /// Jobs in one settle call at most, 1 to 1000
    #[arg(long, value_name = "N", env = env::TOLLGATE_BATCH, default_value_t = BATCH_DEFAULT, value_parser = batch)]
    batch: usize,

    /// Jobs in one settle call, if as many wait, however long it takes [default: 64, or --batch]
    #[arg(long, value_name = "N", env = env::TOLLGATE_BATCH_MIN, value_parser = batch)]
    batch_min: Option<usize>,

    /// Take over what another worker has held for this long
    #[arg(long, value_name = "TIME", env = env::TOLLGATE_CLAIM_IDLE, default_value = "30s", value_parser = duration)]
    claim_idle: Duration,

    /// How long to finish what is in flight after SIGTERM or SIGINT
    #[arg(short = 't', long, value_name = "TIME", env = env::TOLLGATE_DRAIN_TIMEOUT, default_value = "25s", value_parser = duration)]
    drain_timeout: Duration,

    /// Serve /metrics, /healthz and /readyz at this address; a port alone means 127.0.0.1
    #[arg(long, value_name = "ADDR", env = env::TOLLGATE_LISTEN, value_parser = listen_address)]
    listen: Option<SocketAddr>,

    /// Only ask whether the worker at --listen is alive; exit 0 if it is, 1 if it is not
    #[arg(long)]
    health_check: bool,

    /// Write the manual page into this directory, and do nothing else
    #[arg(long, value_name = "DIR")]
    man: Option<PathBuf>,

    /// redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://; without it a private server under
    /// .tollgate/ is used
    #[arg(long, value_name = "URL", env = env::REDIS_URL, hide_env_values = true)]
    redis_url: Option<String>,

    /// The authorities that rediss:// trusts (PEM) instead of the system's
    #[arg(long, value_name = "FILE", env = env::REDIS_CA_FILE)]
    redis_ca: Option<PathBuf>,

    /// Our own certificate (PEM), where the server asks for one
    #[arg(long, value_name = "FILE", env = env::REDIS_CERT_FILE, requires = "redis_key")]
    redis_cert: Option<PathBuf>,

    /// The key of that certificate
    #[arg(long, value_name = "FILE", env = env::REDIS_KEY_FILE, requires = "redis_cert")]
    redis_key: Option<PathBuf>,

    /// The first part of every key
    #[arg(long, value_name = "NAME", env = env::TOLLGATE_NAMESPACE, default_value_t)]
    namespace: Namespace,

    /// Use a Redis of which this is all that is wrong: `no-aof`, there is no append-only file (docs/cluster.md)
    #[arg(long, value_name = "WHAT", env = env::TOLLGATE_ACCEPT)]
    accept: Option<Accepted>,

    /// Only warn about a Redis that may lose or evict data
    #[arg(long)]
    allow_unsafe_redis: bool,

    #[command(flatten)]
    payout: PayoutArgs,

    /// How to log, on stderr; RUST_LOG filters
    #[arg(long, value_name = "FORMAT", env = env::TOLLGATE_LOG_FORMAT, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

fn concurrency(text: &str) -> Result<usize, String> {
    number(text, CONCURRENCY_MAX)
}

fn batch(text: &str) -> Result<usize, String> {
    number(text, BATCH_MAX)
}

/// What the process is started for.
#[derive(Debug)]
pub(crate) enum Invocation {
    Work(Box<Config>),
    /// Ask the worker that listens at this address.
    HealthCheck(SocketAddr),
    /// Write the manual page into this directory.
    Manual(PathBuf),
}

impl Invocation {
    /// Reads the command line and the environment; ends the process at `--help` and at what clap refuses (exit 2).
    pub(crate) fn from_args() -> Result<Self, String> {
        let args: Args = tollgate_cli::parse();
        if let Some(dir) = args.man {
            return Ok(Self::Manual(dir));
        }
        if args.health_check {
            // A container's check has the same environment as its worker, and nothing else of it is looked at.
            let address = args.listen.ok_or("--health-check: needs --listen, or TOLLGATE_LISTEN")?;
            return Ok(Self::HealthCheck(address));
        }
        if !args.payout.has_gateway() {
            refuse_unused(std::env::args_os())?;
        }
        crate::failpoint::check_environment()?;
        checked(args).map(Box::new).map(Self::Work)
    }
}

/// Writes the manual page.
///
/// # Errors
/// Where it cannot be written.
pub(crate) fn write_manual(dir: &Path) -> std::io::Result<()> {
    tollgate_cli::write_manual::<Args>(dir)
}

/// Refuses flags of payouts that were typed although there is no gateway. Variables are let be: one environment may
/// serve workers with a gateway and others.
fn refuse_unused(words: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let typed = tollgate_cli::typed_flags::<Args>(words);
    match typed.iter().find(|flag| flag.starts_with("payout-") || flag.starts_with("lock-")) {
        Some(flag) => {
            Err(format!("--{flag}: needs --payout-url, or TOLLGATE_PAYOUT_URL: nothing is paid without"))
        }
        None => Ok(()),
    }
}

/// Checks what was typed.
fn checked(args: Args) -> Result<Config, String> {
    if args.claim_idle < CLAIM_IDLE_MIN {
        let (given, least) = (span(args.claim_idle), span(CLAIM_IDLE_MIN));
        return Err(format!("--claim-idle {given}: must be at least {least}"));
    }
    let batch_max = args.batch;
    if let Some(min) = args.batch_min.filter(|min| *min > batch_max) {
        return Err(format!("--batch-min {min}: must be 1 to {batch_max}"));
    }
    let redis = RedisOptions {
        url: args.redis_url,
        ca_file: args.redis_ca,
        cert_file: args.redis_cert,
        key_file: args.redis_key,
        ..RedisOptions::from_env()
    };
    Ok(Config {
        redis,
        unsafe_redis: match args.accept {
            _ if args.allow_unsafe_redis => Safety::Warn,
            Some(accepted) => Safety::Accept(accepted),
            None => Safety::Refuse,
        },
        namespace: args.namespace,
        queues: queues(&typed_or_set(args.queues))?,
        concurrency: args.concurrency,
        batch: args.batch_min.unwrap_or(BATCH_MIN_DEFAULT.min(batch_max))..=batch_max,
        claim_idle: args.claim_idle,
        drain_timeout: args.drain_timeout,
        listen: args.listen,
        payout: PayoutConfig::new(args.payout)?,
        log_format: args.log_format,
    })
}

/// The queues that were typed, else those of the environment, which are separated by spaces.
fn typed_or_set(typed: Vec<String>) -> Vec<String> {
    if !typed.is_empty() {
        return typed;
    }
    let set = env::text(env::TOLLGATE_QUEUES).unwrap_or_default();
    set.split_whitespace().map(str::to_owned).collect()
}

fn queues(typed: &[String]) -> Result<Queues, String> {
    let mut queues: Vec<(QueueName, u32)> = Vec::with_capacity(typed.len());
    for text in typed {
        let (name, weight) = text.split_once(',').unwrap_or((text, "1"));
        let name = QueueName::parse(name).map_err(|error| error.to_string())?;
        let weight = weight.parse().ok().filter(|weight| (1..=WEIGHT_MAX).contains(weight));
        let weight = weight.ok_or_else(|| format!("--queue {text}: the weight must be 1 to {WEIGHT_MAX}"))?;
        if queues.iter().any(|(other, _)| *other == name) {
            return Err(format!("--queue {name}: given twice"));
        }
        queues.push((name, weight));
    }
    Ok(if queues.is_empty() { Queues::All } else { Queues::Named(queues) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(words: &[&str]) -> Result<Config, String> {
        let args = tollgate_cli::try_parse_from::<Args>(["tollgate-worker"].iter().chain(words));
        checked(args.map_err(|error| error.to_string())?)
    }

    #[test]
    fn what_was_typed_becomes_what_is_needed() {
        let config =
            config(&["-c", "3", "-q", "mail,3", "-q", "b", "--listen", "9090", "--claim-idle", "1m"]);
        let config = config.unwrap();
        assert_eq!(config.queues.to_string(), "mail,3 b,1");
        assert_eq!(config.listen.unwrap().to_string(), "127.0.0.1:9090");
        assert_eq!((config.concurrency, config.claim_idle), (3, Duration::from_secs(60)));
        let batch = |words: &[&str]| self::config(words).unwrap().batch;
        assert_eq!((batch(&[]), batch(&["--batch", "5"])), (64..=256, 5..=5));
        assert_eq!(batch(&["--batch", "100", "--batch-min", "100"]), 100..=100);
    }

    /// Of the flags that are no setting, or that only a person may give.
    const ONLY_TYPED: [&str; 6] =
        ["allow_unsafe_redis", "health_check", "help", "lock_urls", "man", "queues"];

    #[test]
    fn every_setting_can_come_from_the_environment() {
        use clap::CommandFactory;
        for arg in Args::command().get_arguments() {
            let name = arg.get_id().as_str();
            let variable = arg.get_env().and_then(|name| name.to_str());
            assert_eq!(variable.is_none(), ONLY_TYPED.contains(&name), "{name}");
            assert!(variable.is_none_or(|name| env::ALL.iter().any(|known| known.name == name)), "{name}");
        }
    }

    #[test]
    fn a_wrong_flag_is_named_with_what_is_allowed() {
        for (words, named) in [
            (&["--batch", "1001"][..], "'1001' for '--batch <N>': must be a whole number from 1 to 1000"),
            (&["-c", "x"], "'x' for '--concurrency <N>': must be a whole number from 1 to 1000"),
            (&["--batch-min", "300"], "--batch-min 300: must be 1 to 256"),
            (&["-c", "0"], "'0' for '--concurrency <N>': must be a whole number"),
            (&["-q", "a,0"], "--queue a,0: the weight must be 1 to 1000"),
            (&["-q", "a", "-q", "a,2"], "--queue a: given twice"),
            (&["-q", "a b"], "queue \"a b\""),
            (&["--claim-idle", "30"], "for example 30s"),
            (&["--claim-idle", "1ms"], "--claim-idle 1 ms: must be at least 100 ms"),
            (&["--hold-ttl", "0s"], "--hold-ttl 0 s: must be at least 1 s"),
            (&["--payout-backoff", "0s"], "--payout-backoff 0 s: must be at least 10 ms"),
            (&["--payout-pause", "0s"], "--payout-pause 0 s: must be at least 10 ms"),
            (&["--payout-key-window", "10s"], "--payout-key-window 10 s: must be at least 11 s"),
            (&["--listen", "example.org:1"], "an IP address and a port"),
            (&["--namespace", "a{b"], "namespace"),
        ] {
            let error = config(words).unwrap_err();
            assert!(error.contains(named), "{words:?}: {error}");
        }
    }

    #[test]
    fn flags_of_payouts_are_refused_where_nothing_is_paid() {
        let refused = |words: &[&str]| refuse_unused(words.iter().map(OsString::from));
        for words in [&["w", "--payout-pause", "1s"], &["w", "--lock-redis", "redis://a"]] {
            let words = refused(words).unwrap_err();
            assert!(words.contains("needs --payout-url"), "{words}");
        }
        assert_eq!(refused(&["w", "--hold-ttl", "1s", "-c", "3"]), Ok(()));
    }
}

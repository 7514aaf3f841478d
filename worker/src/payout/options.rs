//! The command line of payouts: whether this worker pays, through whom, and by which rules.
//!
//! As in `cli`: what was typed ([`PayoutArgs`]), and what the program needs of it ([`PayoutConfig`]), checked once.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use reqwest::Url;
use tollgate::env;
use tollgate::ids::{GatewayName, KeyPrefix};
use tollgate::lock::LockNodes;
use tollgate::scripts::payout::Retry;
use tollgate::span::span;

use super::gateway::{GatewayOptions, parse_url};
use super::rules::{Pauses, Rules};
use super::token::read_token;
use crate::arguments::duration;

/// Beside the request itself, a lease covers the begin's round trip and the clocks' drift.
const LEASE_MARGIN: Duration = Duration::from_secs(1);
const TIMEOUT_MIN: Duration = Duration::from_millis(50);
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// Shorter pauses than this are none.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// A hold that is given up sooner is given up before any worker could begin.
const HOLD_TTL_MIN: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Payouts")]
pub(crate) struct PayoutArgs {
    /// Pay withdrawals that have a destination through the gateway at this address
    #[arg(long, value_name = "URL", env = env::TOLLGATE_PAYOUT_URL, value_parser = parse_url)]
    payout_url: Option<Url>,

    /// What the gateway is called, whatever its address (default: a hash of its address)
    #[arg(long, value_name = "NAME", env = env::TOLLGATE_PAYOUT_GATEWAY)]
    payout_gateway: Option<GatewayName>,

    /// Comes first in every idempotency key: for two namespaces of one name at one gateway
    #[arg(long, value_name = "NAME", env = env::TOLLGATE_PAYOUT_KEY_PREFIX)]
    payout_key_prefix: Option<KeyPrefix>,

    /// A file that holds the gateway's bearer token (or TOLLGATE_PAYOUT_TOKEN holds it)
    #[arg(long, value_name = "FILE", env = env::TOLLGATE_PAYOUT_TOKEN_FILE)]
    payout_token_file: Option<PathBuf>,

    /// The authorities that the gateway's certificate may come from (PEM) instead of the system's
    #[arg(long, value_name = "FILE", env = env::TOLLGATE_PAYOUT_CA)]
    payout_ca: Option<PathBuf>,

    /// How long one request to the gateway may take
    #[arg(long, value_name = "TIME", env = env::TOLLGATE_PAYOUT_TIMEOUT, default_value = "10s", value_parser = duration)]
    payout_timeout: Duration,

    /// After an attempt whose outcome is unknown
    #[arg(long, value_name = "RULE", env = env::TOLLGATE_PAYOUT_RETRY, value_enum, default_value_t = RetryRule::SameKey)]
    payout_retry: RetryRule,

    /// For how long the gateway honours an idempotency key; after it a person is asked
    #[arg(long, value_name = "TIME", env = env::TOLLGATE_PAYOUT_KEY_WINDOW, default_value = "23h", value_parser = duration)]
    payout_key_window: Duration,

    /// The pause after the first attempt, doubled for each that follows
    #[arg(long, value_name = "TIME", env = env::TOLLGATE_PAYOUT_BACKOFF, default_value = "1s", value_parser = duration)]
    payout_backoff: Duration,

    /// How long nothing is paid after the gateway says that our address or credentials are wrong
    #[arg(long, value_name = "TIME", env = env::TOLLGATE_PAYOUT_PAUSE, default_value = "30s", value_parser = duration)]
    payout_pause: Duration,

    /// Give a hold up after this if no attempt has begun
    #[arg(long, value_name = "TIME", env = env::TOLLGATE_HOLD_TTL, value_parser = duration)]
    hold_ttl: Option<Duration>,

    /// A server for the lock of each account: 1, 3 or 5 of them (repeatable, or TOLLGATE_LOCK_URLS)
    #[arg(long = "lock-redis", value_name = "URL")]
    lock_urls: Vec<String>,

    /// Holds the password of every lock server whose URL has none
    #[arg(long, value_name = "FILE", env = env::TOLLGATE_LOCK_PASSWORD_FILE)]
    lock_password_file: Option<PathBuf>,
}

/// What the gateway's keys allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RetryRule {
    /// Try again under the same key
    SameKey,
    /// Ask a person: for gateways that do not honour keys
    Never,
}

/// What payouts need.
#[derive(Debug, Clone)]
pub(crate) struct PayoutConfig {
    /// `None`: this worker holds, but does not pay.
    pub(crate) gateway: Option<GatewayOptions>,
    pub(crate) rules: Rules,
    pub(crate) hold_ttl: Option<Duration>,
    /// `None`: locks live on the data Redis.
    pub(crate) lock_nodes: Option<LockNodes>,
}

impl PayoutArgs {
    pub(crate) fn has_gateway(&self) -> bool {
        self.payout_url.is_some()
    }
}

/// Refuses times that are too short to mean anything.
fn check_times(args: &PayoutArgs) -> Result<(), String> {
    if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&args.payout_timeout) {
        return Err(format!(
            "--payout-timeout {}: must be {} to {}",
            span(args.payout_timeout),
            span(TIMEOUT_MIN),
            span(TIMEOUT_MAX)
        ));
    }
    // A key that is not honoured for as long as one attempt takes is as good as none.
    let attempt = args.payout_timeout + LEASE_MARGIN;
    for (flag, given, least, or_else) in [
        (
            "--payout-key-window",
            Some(args.payout_key_window),
            attempt,
            ", the time of one attempt; for a gateway that honours no keys, `--payout-retry never`",
        ),
        ("--payout-backoff", Some(args.payout_backoff), PAUSE_MIN, ""),
        ("--payout-pause", Some(args.payout_pause), PAUSE_MIN, ""),
        ("--hold-ttl", args.hold_ttl, HOLD_TTL_MIN, "; leave it out for none"),
    ] {
        if let Some(given) = given.filter(|given| *given < least) {
            return Err(format!("{flag} {}: must be at least {}{or_else}", span(given), span(least)));
        }
    }
    Ok(())
}

impl PayoutConfig {
    pub(crate) fn new(args: PayoutArgs) -> Result<Self, String> {
        check_times(&args)?;
        let token = read_token(args.payout_token_file.as_ref())?;
        let gateway = args.payout_url.map(|url| GatewayOptions {
            name: args.payout_gateway.unwrap_or_else(|| GatewayName::of_address(url.as_str())),
            key_prefix: args.payout_key_prefix,
            keeps_connections: args.payout_retry == RetryRule::SameKey,
            url,
            timeout: args.payout_timeout,
            token,
            token_file: args.payout_token_file,
            ca_file: args.payout_ca,
            #[cfg(feature = "explore")]
            bank: None,
        });
        let urls = if args.lock_urls.is_empty() { LockNodes::urls_from_env() } else { args.lock_urls };
        let lock_nodes = match urls.as_slice() {
            [] => None,
            urls => {
                let nodes =
                    LockNodes::open_with_password_file(urls, None, args.lock_password_file.as_deref());
                Some(nodes.map_err(|error| format!("--lock-redis: {error}"))?)
            }
        };
        let rules = Rules {
            lease: args.payout_timeout + LEASE_MARGIN,
            retry: match args.payout_retry {
                RetryRule::SameKey => Retry::SameKey,
                RetryRule::Never => Retry::Never,
            },
            key_window: args.payout_key_window,
            backoff: args.payout_backoff,
            pauses: Pauses { refused: args.payout_pause, unreachable: args.payout_backoff },
        };
        Ok(Self { gateway, rules, hold_ttl: args.hold_ttl, lock_nodes })
    }
}

/// For the log: where to, never with what.
impl fmt::Display for PayoutConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(gateway) = &self.gateway else { return f.write_str("off") };
        let Rules { lease, retry, key_window, backoff, pauses } = &self.rules;
        let retry = match retry {
            Retry::SameKey => "same-key",
            Retry::Never => "never",
        };
        write!(f, "{} as {} (lease {}, retry {retry}, ", gateway.url, gateway.name, span(*lease))?;
        write!(f, "key window {}, backoff {}, ", span(*key_window), span(*backoff))?;
        write!(f, "pause {}, locks on ", span(pauses.refused))?;
        match &self.lock_nodes {
            None => f.write_str("the data Redis)"),
            Some(nodes) => {
                let names: Vec<_> = nodes.states().into_iter().map(|state| state.node).collect();
                write!(f, "{})", names.join(" "))
            }
        }
    }
}

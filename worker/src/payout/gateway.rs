//! The payout gateway over HTTP: one address, reused connections, a deadline on every request.
//!
//! An error of the connector (no such host, refused, no TLS) comes before the first byte of the request, so nothing was
//! sent: TLS sends no early data, no proxy stands in between, and a kept connection that turns out to be closed is
//! replaced only if no byte was written to it. With one attempt ever (`never`) no connection is kept at all.
//! Relies on the gateway honouring `Idempotency-Key`, which is that of the hold in every attempt. Must not retry by
//! itself and must not follow redirects: each attempt is begun in Redis first, and goes where we were told.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use reqwest::{Client, RequestBuilder, Url, redirect};

use tollgate::ids::{AccountId, GatewayName, JobId, KeyPrefix, Namespace};
use tollgate::payout_key::PayoutKey;

use super::token::read_token;
use super::verdict::{Payment, Question, Verdict, judge, shorten};

/// Most of an answer that is read, in bytes; what is longer proves nothing.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long an idle connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Where and how to pay.
#[derive(Clone)]
pub(crate) struct GatewayOptions {
    /// What it is called, whatever its address.
    pub(crate) name: GatewayName,
    /// What comes before our namespace in its keys.
    pub(crate) key_prefix: Option<KeyPrefix>,
    /// The address under which `/payouts` is.
    pub(crate) url: Url,
    /// How long one request may take at most.
    pub(crate) timeout: Duration,
    /// Whether a connection is used again: it may be closed at the moment in which we send, and then the outcome is
    /// unknown.
    pub(crate) keeps_connections: bool,
    /// The bearer token.
    pub(crate) token: Option<String>,
    /// Where it was read from, and is read again.
    pub(crate) token_file: Option<PathBuf>,
    /// Authorities to trust instead of the system's, in PEM.
    pub(crate) ca_file: Option<PathBuf>,
    /// What stands in for the gateway, at which questions wait.
    #[cfg(feature = "explore")]
    pub(crate) bank: Option<Arc<dyn super::bank::Bank>>,
}

impl fmt::Debug for GatewayOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token.
        f.debug_struct("GatewayOptions").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// Reads `--payout-url`: http or https with a host, no query, no credentials.
pub(crate) fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|problem| format!("must be an http or https address: {problem}"))?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain {
        return Err("must be an http or https address without query, for example https://pay.example.com/v1"
            .to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold credentials: use --payout-token-file or TOLLGATE_PAYOUT_TOKEN".to_owned());
    }
    Ok(url)
}

/// A gateway that can be paid through. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gateway {
    name: GatewayName,
    key_prefix: Option<KeyPrefix>,
    options: GatewayOptions,
    payouts: String,
    timeout: Duration,
    secrets: Arc<RwLock<Secrets>>,
}

/// What may be rotated while the worker runs.
#[derive(Clone)]
struct Secrets {
    client: Client,
    token: Option<String>,
    /// The authorities' file, as it was read.
    authorities: Option<Vec<u8>>,
}

impl Secrets {
    fn read(options: &GatewayOptions, token: Option<String>) -> anyhow::Result<Self> {
        let authorities = options.ca_file.as_deref().map(read_file).transpose()?;
        let client = client(options, authorities.as_deref())?;
        Ok(Self { client, token, authorities })
    }
}

impl Gateway {
    pub(crate) fn new(options: GatewayOptions) -> anyhow::Result<Self> {
        // The client takes the process-wide TLS provider; whoever installed one first wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let secrets = Secrets::read(&options, options.token.clone())?;
        let payouts = format!("{}/payouts", options.url.as_str().trim_end_matches('/'));
        Ok(Self {
            name: options.name.clone(),
            key_prefix: options.key_prefix.clone(),
            payouts,
            timeout: options.timeout,
            secrets: Arc::new(RwLock::new(secrets)),
            options,
        })
    }

    /// Reads the token's and the authorities' files again; whether something has changed. What cannot be read leaves
    /// things as they are.
    pub(crate) fn reload(&self) -> anyhow::Result<bool> {
        let before = self.secrets();
        let token = match &self.options.token_file {
            Some(file) => read_token(Some(file)).map_err(anyhow::Error::msg)?,
            None => before.token.clone(),
        };
        let after = Secrets::read(&self.options, token)?;
        let has_changed = (&after.token, &after.authorities) != (&before.token, &before.authorities);
        if has_changed {
            *self.secrets.write().unwrap_or_else(PoisonError::into_inner) = after;
        }
        Ok(has_changed)
    }

    fn secrets(&self) -> Secrets {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[cfg(feature = "explore")]
    pub(crate) fn is_explored(&self) -> bool {
        self.options.bank.is_some()
    }

    pub(crate) fn name(&self) -> &GatewayName {
        &self.name
    }

    /// The key under which a payout that has none yet is sent.
    pub(crate) fn key(&self, namespace: &Namespace, account: &AccountId, id: &JobId) -> PayoutKey {
        PayoutKey::of(self.key_prefix.as_ref(), namespace, account, id)
    }

    /// Sends one payment, to be answered within `remaining` (the attempt's lease).
    ///
    /// # Cancel safety
    /// If the future is dropped the request may have been sent: the attempt is unknown.
    pub(crate) async fn pay(&self, payment: &Payment, remaining: Duration) -> Verdict {
        let body = serde_json::to_vec(payment).unwrap_or_default();
        let request = self
            .secrets()
            .client
            .post(&self.payouts)
            .header("Idempotency-Key", &payment.key)
            .header("Content-Type", "application/json")
            .body(body);
        self.send(Question::Pay, payment, request, remaining).await
    }

    /// Asks what became of a payment; changes nothing.
    pub(crate) async fn ask(&self, payment: &Payment) -> Verdict {
        let Ok(mut url) = Url::parse(&self.payouts) else { return Verdict::CannotBeAsked };
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(&payment.key);
        }
        self.send(Question::Ask, payment, self.secrets().client.get(url), self.timeout).await
    }

    async fn send(
        &self,
        question: Question,
        payment: &Payment,
        mut request: RequestBuilder,
        remaining: Duration,
    ) -> Verdict {
        #[cfg(feature = "explore")]
        if let Some(bank) = &self.options.bank {
            let asked = super::bank::Question {
                key: payment.key.clone(),
                payment: (question == Question::Pay)
                    .then(|| serde_json::to_string(payment).unwrap_or_default()),
            };
            return match bank.ask(asked).await {
                Some((status, body)) => judge(question, payment, status, body.as_bytes()),
                None => Verdict::Unknown { note: "no answer in time".to_owned() },
            };
        }
        if let Some(token) = self.secrets().token {
            request = request.bearer_auth(token);
        }
        // reqwest's own timeout covers the request from connecting to the last byte of the answer.
        let exchange = async {
            let mut response = request.timeout(self.timeout.min(remaining)).send().await?;
            let status = response.status().as_u16();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                body.extend_from_slice(&chunk);
                if body.len() > ANSWER_BYTES_MAX {
                    return Ok((status, Vec::new()));
                }
            }
            Ok::<_, reqwest::Error>((status, body))
        };
        match exchange.await {
            Ok((status, body)) => judge(question, payment, status, &body),
            Err(problem) if problem.is_connect() => Verdict::NotSent { note: describe(problem) },
            Err(problem) => Verdict::Unknown { note: describe(problem) },
        }
    }
}

/// The innermost cause, which says most, without the address.
fn describe(problem: reqwest::Error) -> String {
    if problem.is_timeout() {
        return "no answer in time".to_owned();
    }
    let problem = problem.without_url();
    let mut cause: &dyn std::error::Error = &problem;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    shorten(&cause.to_string())
}

fn client(options: &GatewayOptions, authorities: Option<&[u8]>) -> anyhow::Result<Client> {
    #[cfg(feature = "explore")]
    if options.bank.is_some() {
        // Never used, and slow to make.
        static ONE: std::sync::OnceLock<Client> = std::sync::OnceLock::new();
        return Ok(ONE.get_or_init(Client::new).clone());
    }
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(if options.keeps_connections { usize::MAX } else { 0 })
        // Half of the time at most, so that a connection that does not come about is told from an answer that does
        // not: nothing was sent then.
        .connect_timeout(options.timeout / 2)
        // A payment goes where we were told, and is shown to nobody in between.
        .no_proxy()
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")));
    if let (Some(path), Some(pem)) = (&options.ca_file, authorities) {
        builder = builder.tls_certs_only(parse_authorities(path, pem)?);
    }
    builder.build().context("the payout gateway's client")
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("--payout-ca {}", path.display()))
}

fn parse_authorities(path: &Path, pem: &[u8]) -> anyhow::Result<Vec<reqwest::Certificate>> {
    let authorities = reqwest::Certificate::from_pem_bundle(pem)
        .with_context(|| format!("--payout-ca {}: must hold certificates in PEM", path.display()))?;
    anyhow::ensure!(!authorities.is_empty(), "--payout-ca {}: holds no certificate", path.display());
    Ok(authorities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_be_paid_through_are_refused() {
        for good in ["http://127.0.0.1:8080", "https://pay.example.com/v1/"] {
            assert!(parse_url(good).is_ok(), "{good}");
        }
        for bad in
            ["", "pay.example.com", "ftp://x", "http://", "http://u:p@x", "https://x/?q=1", "https://x#f"]
        {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }
}

//! The sandbox bank: a real HTTP server that pays into its own file and can be told to misbehave.
//!
//! The outside witness of a payout run. It looks an idempotency key up first, forces each payout to its file
//! before it answers, and answers the same key with the same payout. It knows nothing of Tollgate.
//!
//! `POST /payouts` with `Idempotency-Key` and `{id, account, amount, currency, destination}`:
//! 201 paid, 200 paid before, 202 will be paid, 402 refused, 422 the key belongs to another payout.
//! `GET /payouts/{key}`: 200 the payout, 202 will be paid, 402 refused, 404 `{"error":"unknown_key"}`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clap::ArgAction;

mod fault_plan;
mod ledger;

use fault_plan::{BankFault, FaultPlan, Rates};
use ledger::{Ledger, Lookup, Payout, Recorded};

use crate::span::Span;

/// How long a hanging answer hangs: longer than any sane client waits.
const HANGS_FOR: Duration = Duration::from_secs(120);

/// How long a bank that closes waits for what it began.
const FINISHES_WITHIN: Duration = Duration::from_secs(5);

/// What the bank does, and how badly.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to listen; anything but loopback needs a token.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    listen: SocketAddr,
    /// The file of payouts, one JSON object a line; read again at start.
    #[arg(long, value_name = "FILE")]
    ledger: PathBuf,
    /// Writes the address it listens on to this file, for port 0.
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
    /// The bearer token that callers must show.
    #[arg(long, env = tollgate::env::TOLLGATE_BANK_TOKEN, hide_env_values = true)]
    token: Option<String>,
    /// A file that holds the token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The seed of every misbehaviour: the same seed, key and try misbehave alike.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long an answer takes, `20ms` or a range `5ms..50ms`.
    #[arg(long, default_value = "0ms", value_parser = Span::parse)]
    latency: Span,
    /// When it pays what it answered 202.
    #[arg(long, default_value = "300ms", value_parser = humantime::parse_duration)]
    later: Duration,
    /// How long it refuses everybody after a lock-out.
    #[arg(long, default_value = "500ms", value_parser = humantime::parse_duration)]
    lock_out_for: Duration,
    /// Forgets each key as soon as the payout is in the file: the same key pays again.
    #[arg(long, action = ArgAction::SetTrue)]
    forget_keys: bool,
    #[command(flatten)]
    rates: Rates,
}

struct Bank {
    ledger: Ledger,
    fault_plan: FaultPlan,
    token: Option<String>,
    later: Duration,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(args: Args) -> ExitCode {
    let colours = tollgate_cli::stderr_has_colours();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours);
    // Where stderr fails, what cannot be written is dropped: said there, it would be a panic.
    log.with_target(false).log_internal_errors(false).init();
    match serve(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let token = match &args.token_file {
        None => args.token,
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("--token-file {}", path.display()))?;
            Some(text.trim_end().to_owned())
        }
    };
    let is_private = args.listen.ip().is_loopback() || token.as_ref().is_some_and(|token| !token.is_empty());
    anyhow::ensure!(is_private, "--listen {}: needs --token, since others can reach it", args.listen);
    let ledger = Ledger::open(&args.ledger, args.forget_keys)
        .await
        .with_context(|| format!("the ledger {}", args.ledger.display()))?;
    let fault_plan = FaultPlan::new(args.seed, args.rates, args.latency, args.lock_out_for);
    let bank = Arc::new(Bank { ledger, fault_plan, token, later: args.later });
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    if let Some(file) = &args.address_file {
        tokio::fs::write(file, address.to_string()).await.with_context(|| file.display().to_string())?;
    }
    crate::stage::print(format_args!("http://{address}"));
    tracing::info!(%address, ledger = %args.ledger.display(), seed = args.seed, "the bank is open");
    let router = Router::new().route("/payouts", post(pay)).route("/payouts/{key}", get(look));
    let ledger = bank.ledger.clone();
    let router = router.with_state(bank);
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served?,
        () = ledger.broken() => anyhow::bail!("the ledger cannot be written; the bank closes"),
        asked = asked_to_stop() => asked?,
    }
    // Whoever waits for an answer that hangs hears nothing; but what was begun is finished.
    let finished = tokio::time::timeout(FINISHES_WITHIN, ledger.all_finished()).await;
    finished.context("not everything could be finished")
}

async fn asked_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    Ok(())
}

async fn pay(State(bank): State<Arc<Bank>>, headers: HeaderMap, body: Bytes) -> Response {
    if !bank.admits(&headers) {
        return answer(StatusCode::UNAUTHORIZED, &error("unauthorized"));
    }
    let Some(key) = headers.get("idempotency-key").and_then(|key| key.to_str().ok()) else {
        return answer(StatusCode::BAD_REQUEST, &error("missing_idempotency_key"));
    };
    let payout: Payout = match serde_json::from_slice(&body) {
        Ok(payout) => payout,
        Err(problem) => return answer(StatusCode::BAD_REQUEST, &error(&problem.to_string())),
    };
    let key = key.to_owned();
    let fault = bank.fault_plan.fault(&key);
    tokio::time::sleep(fault.latency).await;
    match fault.kind {
        BankFault::FailBefore => return answer(StatusCode::INTERNAL_SERVER_ERROR, "not today"),
        BankFault::LockOut => {
            bank.fault_plan.lock_out();
            return answer(StatusCode::UNAUTHORIZED, &error("unauthorized"));
        }
        _ => {}
    }
    let refuse = fault.kind == BankFault::Refuse;
    let recorded = match fault.kind {
        BankFault::Later => Ok(bank.ledger.promise(&key, &payout, bank.later)),
        _ => bank.ledger.record(&key, payout, refuse).await,
    };
    let recorded = match recorded {
        Ok(recorded) => recorded,
        Err(problem) => return answer(StatusCode::SERVICE_UNAVAILABLE, &error(&problem.to_string())),
    };
    match fault.kind {
        BankFault::FailAfter => return answer(StatusCode::BAD_GATEWAY, "<html>bad gateway</html>"),
        BankFault::Hang => tokio::time::sleep(HANGS_FOR).await,
        // Unwinding the connection's task closes the connection without an answer, and without a message.
        BankFault::Drop => std::panic::resume_unwind(Box::new("the connection is dropped on purpose")),
        _ => {}
    }
    answer_recorded(recorded)
}

async fn look(State(bank): State<Arc<Bank>>, headers: HeaderMap, Path(key): Path<String>) -> Response {
    if !bank.admits(&headers) {
        return answer(StatusCode::UNAUTHORIZED, &error("unauthorized"));
    }
    tokio::time::sleep(bank.fault_plan.latency(&key)).await;
    match bank.ledger.look_up(&key) {
        Lookup::Unknown => answer(StatusCode::NOT_FOUND, &error("unknown_key")),
        Lookup::Known(recorded) => answer_recorded(recorded),
    }
}

fn answer_recorded(recorded: Recorded) -> Response {
    let paid = |status, payout: &Payout| answer(status, &serde_json::to_string(payout).unwrap_or_default());
    match recorded {
        Recorded::Paid(payout) => paid(StatusCode::CREATED, &payout),
        Recorded::PaidBefore(payout) => paid(StatusCode::OK, &payout),
        Recorded::Promised => answer(StatusCode::ACCEPTED, "{\"status\":\"accepted\"}"),
        Recorded::Refused => answer(StatusCode::PAYMENT_REQUIRED, &error("destination_refused")),
        Recorded::OtherPayout => answer(StatusCode::UNPROCESSABLE_ENTITY, &error("key_reused")),
    }
}

fn answer(status: StatusCode, body: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_owned()).into_response()
}

fn error(what: &str) -> String {
    serde_json::json!({ "error": what }).to_string()
}

impl Bank {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let right = self.token.as_ref().is_none_or(|token| shown == Some(&format!("Bearer {token}")));
        right && !self.fault_plan.is_locked_out()
    }
}

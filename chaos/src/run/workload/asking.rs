//! What all who ask have in common: the pause between two requests, the command line of one, and what its end says.

use std::time::Duration;

use super::draw::decimal;
use crate::run::client::Ended;
use crate::run::history::{Job, Request, Response};

/// How long a command waits for an outcome, which is unknown to its sender then.
const WAITS: &str = "2s";

/// Waits so long, or until the end is told; true while there is more to do.
pub(super) async fn pause(ends: &mut tokio::sync::watch::Receiver<bool>, time: Duration) -> bool {
    tokio::time::timeout(time, ends.wait_for(|end| *end)).await.is_err()
}

/// What the end of a command says about one request: the exit codes of docs/codes.md.
pub(super) fn answer(ended: &Ended) -> Response {
    let why = || ended.complaint();
    let told = ended.last().and_then(|value| {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let number = |name: &str| value[name].as_u64();
        Some(Response::Told {
            class: text("class")?,
            code: text("code")?,
            seq: number("seq"),
            partition: number("partition"),
            replayed: value["replayed"].as_bool().unwrap_or(false),
        })
    });
    match (told, ended.code) {
        (Some(told @ Response::Told { .. }), Some(0 | 1 | 4)) => told,
        // The command line was refused, or Redis was: before anything was sent.
        (None, Some(2)) => Response::NotApplied { why: why() },
        (None, Some(1)) if ended.stderr.contains("it was not sent") => Response::NotApplied { why: why() },
        _ => Response::Unknown { why: why() },
    }
}

/// The command line of a request.
pub(super) fn words(job: &Job, queue: &str) -> Vec<String> {
    let words: Vec<&str>;
    let (number, limit);
    match &job.request {
        Request::Redeem { campaign, customer, quantity } => {
            number = quantity.to_string();
            words = vec!["redeem", "--campaign", campaign, "--customer", customer, "--quantity", &number];
        }
        Request::Withdraw { account, amount, destination } => {
            number = decimal(*amount);
            let mut with = vec!["withdraw", "--account", account, "--amount", &number];
            destination.iter().for_each(|destination| with.extend(["--destination", destination]));
            words = with;
        }
        Request::Deposit { account, amount } => {
            number = decimal(*amount);
            words = vec!["account", "deposit", account, &number];
        }
        Request::Transfer { from, to, amount } => {
            number = decimal(*amount);
            words = vec!["transfer", "--from", from, "--to", to, "--amount", &number];
        }
        Request::Refund { account, of, amount } => {
            number = decimal(*amount);
            words = vec!["account", "refund", account, of, &number];
        }
        Request::Reverse { campaign, customer, quantity, of } => {
            number = quantity.to_string();
            words = vec!["campaign", "reverse", campaign, customer, of, "--quantity", &number];
        }
        Request::Decide { case, decision, by } => {
            words = vec!["case", "decide", case, "--decision", decision, "--by", by];
        }
        Request::SetLimit { campaign, limit: to } => {
            limit = to.to_string();
            words = vec!["campaign", "set-limit", campaign, &limit];
        }
        Request::CloseCampaign { campaign } => words = vec!["campaign", "close", campaign],
        Request::Sale(sale) => return ask_in_queue(sale.words(), &job.id, queue),
        Request::CampaignCreate { .. }
        | Request::AccountOpen { .. }
        | Request::CaseOpen { .. }
        | Request::InventoryCreate { .. }
        | Request::InventoryLoad { .. } => words = Vec::new(),
    }
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    if matches!(job.request, Request::Redeem { .. } | Request::Withdraw { .. } | Request::Transfer { .. }) {
        return ask_in_queue(words, &job.id, queue);
    }
    words.extend(["--id", &job.id, "--json"].map(str::to_owned));
    words
}

fn ask_in_queue(mut words: Vec<String>, id: &str, queue: &str) -> Vec<String> {
    words.extend(["--id", id, "--json", "--queue", queue, "--wait", WAITS].map(str::to_owned));
    words
}

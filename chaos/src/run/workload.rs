//! What is asked of Tollgate while it is broken: clients that wait for answers, files of jobs whose sender is killed
//! and repeated, operators who change limits and pause queues, and poison. Drawn from the seed; every request and
//! every answer is in the history.

mod asker;
mod draw;
mod files;
mod operator;
mod parked;
mod poison;
mod storm;
mod unheard;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use self::draw::Pool;
use super::client::{Client, Ended};
use super::history::{Answer, Job, Request};

pub(super) use self::draw::QUEUES;
pub(super) use self::files::backlog;
pub(super) use self::parked::OTHER_SENT;
pub(super) use self::poison::{add as add_poison, add_killer, put as put_poison};
pub(super) use self::storm::{hostile, race_for_last, repeat_one_id};
pub(super) use self::unheard::UNHEARD;

/// How much a scenario asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Clients that wait for each answer.
    pub(super) askers: usize,
    /// Jobs in one file, and the pause between two.
    pub(super) file: usize,
    pub(super) file_every: Duration,
    /// Whether money also leaves through the bank.
    pub(super) payouts: bool,
    pub(super) poison: bool,
    pub(super) pauses: bool,
    /// Of each client's calls the first and then every so-many-th: it runs, its reply is lost, and its sender with it.
    pub(super) unheard: Option<u64>,
    /// Jobs that are sent while all workers are gone.
    pub(super) backlog: usize,
}

/// What a run begins with: campaigns and accounts.
pub(super) async fn open(client: &Client, load: &Load) -> anyhow::Result<()> {
    let mut jobs: Vec<Job> = draw::CAMPAIGNS
        .iter()
        .map(|(campaign, limit, per_customer)| Job {
            id: format!("create/campaign/{campaign}"),
            request: Request::CampaignCreate {
                campaign: (*campaign).to_owned(),
                limit: *limit,
                per_customer: *per_customer,
            },
        })
        .collect();
    let rich = std::iter::once(("rich".to_owned(), draw::RICH));
    let accounts = (0..draw::ACCOUNTS).map(|number| (draw::account(number), draw::BALANCE));
    jobs.extend(accounts.chain(rich).map(|(account, balance)| Job {
        id: format!("create/account/{account}"),
        request: Request::AccountOpen { account, balance },
    }));
    for job in jobs {
        let (campaign, account);
        let words: Vec<String> = match &job.request {
            Request::CampaignCreate { campaign: name, limit, per_customer } => {
                campaign = name;
                let mut words = vec!["campaign".into(), "create".into(), campaign.clone()];
                words.extend(["--limit".into(), limit.to_string()]);
                per_customer
                    .iter()
                    .for_each(|most| words.extend(["--per-customer".into(), most.to_string()]));
                words
            }
            Request::AccountOpen { account: name, balance } => {
                account = name;
                ["account", "open", account, "--balance", &draw::decimal(*balance)].map(String::from).to_vec()
            }
            _ => continue,
        };
        let op = client.history.sent(vec![job.clone()]);
        client.must(&words.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        client.history.told(op, Answer::Accepted);
    }
    for queue in QUEUES {
        // A queue begins with its first job; so each has one from the start.
        files::send(client, &mut Pool::new(client.seed), queue, 1, load.payouts, None).await?;
    }
    Ok(())
}

/// Asks until it is told to end; then finishes what it has begun.
pub(super) async fn run(client: Arc<Client>, load: Load, ends: tokio::sync::watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    for number in 0..load.askers {
        tasks.spawn(asker::run(Arc::clone(&client), load, number as u64 + 1, ends.clone()));
    }
    tasks.spawn(files::run(Arc::clone(&client), load, ends.clone()));
    tasks.spawn(operator::run(Arc::clone(&client), load, ends.clone()));
    tasks.spawn(parked::run(Arc::clone(&client), ends.clone()));
    if load.poison {
        tasks.spawn(poison::run(Arc::clone(&client), ends));
    }
    while tasks.join_next().await.is_some() {}
}

/// Waits so long, or until the end is told; true while there is more to do.
async fn pause(ends: &mut tokio::sync::watch::Receiver<bool>, time: Duration) -> bool {
    tokio::time::timeout(time, ends.wait_for(|end| *end)).await.is_err()
}

/// What the end of a command says about one request: the exit codes of docs/codes.md.
fn answer(ended: &Ended) -> Answer {
    let why = || ended.complaint();
    let told = ended.last().and_then(|value| {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let number = |name: &str| value[name].as_u64();
        Some(Answer::Told {
            class: text("class")?,
            code: text("code")?,
            seq: number("seq"),
            partition: number("partition"),
            replayed: value["replayed"].as_bool().unwrap_or(false),
        })
    });
    match (told, ended.code) {
        (Some(told @ Answer::Told { .. }), Some(0 | 1 | 4)) => told,
        // The command line was refused, or Redis was: before anything was sent.
        (None, Some(2)) => Answer::NotApplied { why: why() },
        (None, Some(1)) if ended.stderr.contains("it was not sent") => Answer::NotApplied { why: why() },
        _ => Answer::Unknown { why: why() },
    }
}

//! What is asked of Tollgate while it is broken: clients that wait for answers, files of jobs whose sender is killed
//! and repeated, operators who change limits and pause queues, and poison. Drawn from the seed; every request and
//! every answer is in the history.

mod asker;
mod asking;
mod draw;
mod files;
mod load;
mod operator;
mod parked;
mod poison;
mod sales;
mod storm;
mod unheard;

use std::sync::Arc;

use tokio::task::JoinSet;

use self::draw::Pool;
use super::client::Client;
use super::history::{Job, Request, Response};

pub(super) use self::draw::QUEUES;
pub(super) use self::files::backlog;
pub(super) use self::load::Load;
pub(super) use self::poison::{add as add_poison, add_killer, put as put_poison};
pub(super) use self::sales::{INVENTORY, stock};
pub(super) use self::storm::{hostile, race_for_last, repeat_one_id};

/// What a run begins with: campaigns, accounts, cases and an inventory.
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
    jobs.extend((0..draw::CASES).map(|number| Job {
        id: format!("create/case/{}", draw::case(number)),
        request: Request::CaseOpen { case: draw::case(number) },
    }));
    let inventory = INVENTORY.to_owned();
    jobs.push(Job {
        id: format!("create/inventory/{INVENTORY}"),
        request: Request::InventoryCreate { inventory: inventory.clone() },
    });
    jobs.push(Job { id: format!("create/stock/{INVENTORY}"), request: Request::InventoryLoad { inventory } });
    let items = client.programs.dir().join("items.csv");
    let lines = stock().into_iter().map(|(item, quantity)| format!("{item},{quantity}\n"));
    std::fs::write(&items, format!("item,quantity\n{}", lines.collect::<String>()))?;
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
            Request::CaseOpen { case } => ["case", "open", case].map(String::from).to_vec(),
            Request::InventoryCreate { inventory } => {
                ["inventory", "create", inventory].map(String::from).to_vec()
            }
            Request::InventoryLoad { inventory } => {
                let items = items.display().to_string();
                ["inventory", "load", inventory, "--items-file", &items].map(String::from).to_vec()
            }
            _ => continue,
        };
        let op = client.history.sent(vec![job.clone()]);
        client.must(&words.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        client.history.told(op, Response::Accepted);
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

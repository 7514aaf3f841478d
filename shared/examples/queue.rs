//! An account, and a withdrawal that goes through the queue: whoever serves it decides, and this waits for the outcome.
//!
//! `cargo run -p tollgate --example queue`, and `tollgate-worker` beside it, or before it, or after it.

use std::time::Duration;

use tollgate::Tollgate;
use tollgate::amount::{Amount, Currency};
use tollgate::ids::{AccountId, JobId, QueueName};
use tollgate::job::Job;
use tollgate::kinds::{AccountOpen, Withdraw};
use tollgate::outcome::OutcomeClass;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tollgate = Tollgate::builder().connect().await?;

    let account = AccountId::parse("wallet-7")?;
    let currency = Currency::default();
    let balance = Amount::parse_decimal("balance", "100.00", currency)?;
    tollgate.open_account(&AccountOpen { account: account.clone(), balance, currency }).await?;

    let amount = Amount::parse_decimal("amount", "12.50", currency)?;
    let request = Withdraw { account: account.clone(), amount, currency }.into();
    let job = Job { id: JobId::parse("invoice-2026-11")?, at: None, request };
    // Twice, as a retry would: it is decided once.
    tollgate.send(&QueueName::default(), &[job.clone(), job.clone()]).await?;

    let outcome = tollgate.wait(&job.id, Duration::from_secs(5)).await?;
    match outcome.class {
        OutcomeClass::NotDecided => println!("{}: no worker has come to it yet; it waits", job.id),
        class => println!("{}: {class}: {}", job.id, outcome.code.unwrap_or("-")),
    }
    let state = tollgate.account(&account).await?.ok_or("no account")?;
    println!("{account} has {}", state.available.in_currency(currency));
    Ok(())
}

//! `account statement`: every decision about one account, in order, with what was available after it.

use std::ops::ControlFlow;

use tollgate::amount::money;
use tollgate::ids::AccountId;
use tollgate::instant::Instant;
use tollgate::journal::{ExportLine, Line};
use tollgate::kinds::Fields;
use tollgate::resource::Resource;
use tollgate::resources::AccountState;

use crate::commands::listing;
use crate::context::Context;
use crate::exit::Exit;
use crate::line_text::described;
use crate::past;

pub(super) async fn run(context: &Context, account: &AccountId) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let partition = tollgate.partition_of(Resource::Account(account));
    let mut link = tollgate.server().link().await?;
    let read = listing::read::<AccountState>(&tollgate, &mut link, tollgate.keys(partition), account).await?;
    let Some((held, ..)) = read else { return Ok(Exit::Refused) };
    let currency = held.state().map(|state| state.currency);
    let mut list = context.output().list();
    past::each(&tollgate, &mut link, partition, |seen| {
        if let Some(line) = seen.line.filter(|line| names(line, account)) {
            let export = ExportLine::of(partition, line);
            list.item(&export, || {
                let at = Instant::from_ms(line.at_ms).map(|at| at.to_string()).unwrap_or_default();
                let after = match (left(line, account), currency) {
                    (Some(available), Some(currency)) => money(u128::from(available), currency.code()),
                    _ => "-".to_owned(),
                };
                format!(
                    "{at:<24}  {:<20}  {after:>16}  {}  {}",
                    line.code,
                    line.id,
                    described(line, currency)
                )
            })?;
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    list.end()?;
    Ok(Exit::Done)
}

/// Whether the line is about the account.
fn names(line: &Line, account: &AccountId) -> bool {
    let account = Resource::Account(account);
    line.event.resource() == account || line.event.other_resource() == Some(account)
}

/// What the line left available on the account: a transfer shows it of both.
fn left(line: &Line, account: &AccountId) -> Option<u64> {
    let is_first = line.event.resource() == Resource::Account(account);
    line.after(if is_first { "available" } else { "to_available" })
}

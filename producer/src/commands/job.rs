//! `job history|waiting|scheduled|cancel`: what is known of one job, in the order of time, and which jobs wait.

mod cancel;
mod history;
mod lists;

use tollgate::ids::{JobId, QueueName};
use tollgate::journal::ExportLine;

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::pages::{Filter, Page};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Everything that is known of a job, in the order of time, and how long it was where; reads the whole journal
    History {
        /// The job
        #[arg(value_name = "ID", value_parser = arguments::stored_id)]
        id: JobId,
    },
    /// Cancel a job that waits for its time: it is decided against, and no copy of it has an effect any more
    Cancel {
        /// The job
        #[arg(value_name = "ID", value_parser = arguments::stored_id)]
        id: JobId,
    },
    /// List jobs of a queue that no worker has taken yet, the oldest first
    Waiting {
        /// The queue
        #[arg(long, value_name = "NAME", default_value = tollgate::ids::DEFAULT_QUEUE)]
        queue: QueueName,
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        page: Page,
    },
    /// List jobs that wait for their time, the next due first
    Scheduled {
        /// Only of this queue
        #[arg(long, value_name = "NAME")]
        queue: Option<QueueName>,
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        page: Page,
    },
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::History { id } => history::run(context, &id).await,
        Verb::Cancel { id } => cancel::run(context, &id).await,
        Verb::Waiting { queue, filter, page } => lists::waiting(context, &queue, &filter, &page).await,
        Verb::Scheduled { queue, filter, page } => {
            lists::scheduled(context, queue.as_ref(), &filter, &page).await
        }
    }
}

/// What a line says, in words.
pub(super) fn described(line: &ExportLine<'_>) -> String {
    let mut words = vec![line.kind.to_owned()];
    let money = |amount: u64| {
        line.currency
            .map_or_else(|| amount.to_string(), |code| tollgate::amount::money(u128::from(amount), code))
    };
    let mut add =
        |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name} {value}")));
    add("campaign", line.campaign.map(str::to_owned));
    add("account", line.account.map(str::to_owned));
    add("customer", line.customer.map(str::to_owned));
    add("quantity", line.quantity.map(|number| number.to_string()));
    add("amount", line.amount.map(money));
    add("to", line.destination.map(str::to_owned));
    add("attempt", line.attempt.map(|number| number.to_string()));
    add("limit", line.limit.map(|number| number.to_string()));
    add("note", line.note.map(str::to_owned));
    add("by", Some(line.by.to_owned()).filter(|by| !by.is_empty()));
    words.join(", ")
}

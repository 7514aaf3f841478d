//! `job history|waiting|scheduled|cancel`: what is known of one job, in the order of time, and which jobs wait.

mod cancel;
mod lists;

use std::ops::ControlFlow;

use serde::Serialize;
use tollgate::ids::{JobId, QueueName};
use tollgate::instant::Instant;
use tollgate::journal::ExportLine;
use tollgate::outcome::OutcomeClass;
use tollgate::parked;

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::say;
use crate::pages::{Filter, Page};
use crate::past::{self, Seen};
use crate::served;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Everything that the journal and the parked jobs know of an id; reads the whole journal
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
        Verb::History { id } => history(context, &id).await,
        Verb::Cancel { id } => cancel::run(context, &id).await,
        Verb::Waiting { queue, filter, page } => lists::waiting(context, &queue, &filter, &page).await,
        Verb::Scheduled { queue, filter, page } => {
            lists::scheduled(context, queue.as_ref(), &filter, &page).await
        }
    }
}

/// Something that happened to a job.
#[derive(Debug, Serialize)]
struct Event<'a> {
    at_ms: Option<u64>,
    partition: Option<u16>,
    /// `decided`, `overtaken`, `scheduled`, `dead`, `queued` or `not_decided`.
    what: &'static str,
    /// The journal line.
    seq: Option<u64>,
    kind: Option<&'a str>,
    /// The code of the decision, or why the job is dead.
    code: Option<&'a str>,
    /// For people; may change.
    text: String,
}

impl Event<'_> {
    fn line(&self) -> String {
        let at = self.at_ms.map_or_else(|| "now".to_owned(), time);
        let code = self.code.map(|code| format!(" {code}")).unwrap_or_default();
        format!("{at:<24}  {}{code}  {}", self.what, self.text).trim_end().to_owned()
    }
}

fn time(at_ms: u64) -> String {
    Instant::from_ms(at_ms).map_or_else(|| at_ms.to_string(), |at| at.to_string())
}

async fn history(context: &Context, id: &JobId) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let mut link = tollgate.server().link().await?;
    let mut list = context.output().list();
    let mut is_known = false;
    for partition in tollgate.partitions().iter() {
        let number = partition.number();
        past::each(&tollgate, &mut link, partition, |Seen { entry, line }| {
            if let Some(line) = line.filter(|line| line.id == *id) {
                is_known = true;
                let export = ExportLine::of(partition, line);
                let event = Event {
                    at_ms: Some(line.at_ms),
                    partition: Some(number),
                    what: "decided",
                    seq: Some(line.seq),
                    kind: Some(export.kind),
                    code: Some(export.code),
                    text: described(&export),
                };
                list.item(&event, || event.line())?;
            }
            // With the last line of its call, so that it is told once.
            let is_last = line.is_some_and(|line| line.seq == entry.seq_last);
            if is_last && entry.overtaken().flatten().any(|overtaken| overtaken.id == *id) {
                let event = Event {
                    at_ms: Some(entry.at_ms),
                    partition: Some(number),
                    what: "overtaken",
                    seq: None,
                    kind: None,
                    code: None,
                    text: "the copy of it that waited went with this decision".to_owned(),
                };
                list.item(&event, || event.line())?;
            }
            Ok(ControlFlow::Continue(()))
        })
        .await?;
        if let Some(Ok(row)) = parked::row(&mut link, tollgate.keys(partition), id).await? {
            is_known = true;
            let event = Event {
                at_ms: Some(row.at_ms),
                partition: Some(number),
                what: row.state.name(),
                seq: None,
                kind: None,
                code: Some(row.reason.as_str()).filter(|reason| !reason.is_empty()),
                text: format!("from queue {}; `dead show {id}` has its bytes", row.queue),
            };
            list.item(&event, || event.line())?;
        }
    }
    let outcomes = tollgate.lookup(&mut link, std::slice::from_ref(id)).await?;
    let class = outcomes.into_iter().flatten().next().map_or(OutcomeClass::NotDecided, |one| one.class);
    if class == OutcomeClass::NotDecided {
        let event = Event {
            at_ms: None,
            partition: None,
            what: class.name(),
            seq: None,
            kind: None,
            code: None,
            text: format!(
                "it waits in its queue, or never arrived; of queue default: {}",
                served::why_it_waits(&tollgate, &mut link, &QueueName::default()).await
            ),
        };
        list.item(&event, || event.line())?;
    }
    list.end()?;
    if !is_known && class != OutcomeClass::NotDecided {
        say(format_args!("the journal does not know {id}; `lookup {id}`: {class}"));
    }
    Ok(Exit::of_outcome(class))
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

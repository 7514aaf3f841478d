//! `repair`: one noun for everything that was changed past the scripts. A dry run first; with --yes it is done, and
//! the journal keeps who did it and why.

use anyhow::bail;
use serde::Serialize;
use tollgate::Tollgate;
use tollgate::code::Code;
use tollgate::ids::{AccountId, CampaignId, CaseId, InventoryId, JobId, QueueName};
use tollgate::input::InputError;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::resource::Resource;
use tollgate::scripts::queue::{self, Apply, Repair};
use tollgate::scripts::repair::ParkedRepair;
use tollgate_audit::repair::{self, Change, Noun};

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{complain, hint};

/// Differences that are printed one by one for people.
const SHOWN_MAX: usize = 50;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    noun: What,
    /// Do it; without it only what would be changed is shown
    #[arg(long, global = true)]
    yes: bool,
    /// Why; the journal keeps it for ever
    #[arg(long, global = true, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Restore the key of an account
    Account {
        /// The account
        id: AccountId,
    },
    /// Restore the key of a campaign
    Campaign {
        /// The campaign
        id: CampaignId,
    },
    /// Restore the key of a case
    Case {
        /// The case
        id: CaseId,
    },
    /// Restore who has how many coupons of a campaign
    Holders {
        /// The campaign
        id: CampaignId,
    },
    /// Restore the keys of an inventory: what is sold, to whom, and what is reserved
    Inventory {
        /// The inventory
        id: InventoryId,
    },
    /// Restore one open payout
    Hold {
        /// The id of its job
        #[arg(value_name = "ID", value_parser = arguments::stored_id)]
        id: JobId,
    },
    /// Restore all open payouts and their order
    Payouts,
    /// Restore the index of campaigns, accounts and inventories
    Resources,
    /// Restore the places of scheduled and dead jobs, from their rows
    #[command(visible_aliases = ["scheduled", "dead"])]
    Parked,
    /// Restore a queue whose stream, consumer group or entry in the list of queues is gone
    Queue {
        /// The queue
        queue: QueueName,
    },
    /// Restore every such queue
    Queues,
}

fn reason(text: &str) -> Result<String, String> {
    const MOST: usize = 200;
    let text = text.trim();
    if text.is_empty() || text.len() > MOST || text.chars().any(char::is_control) {
        return Err(format!("must be 1 to {MOST} bytes without control characters"));
    }
    Ok(text.to_owned())
}

/// One difference, as `--json` shows it.
#[derive(Serialize)]
struct Row {
    partition: u16,
    key: String,
    field: String,
    found: Option<String>,
    proved: Option<String>,
}

/// What a repair found and did, as `--json` shows it.
#[derive(Serialize)]
struct Report {
    changes: Vec<Row>,
    applied: bool,
}

/// What one run of the command has.
struct Repairer<'a> {
    tollgate: &'a Tollgate,
    link: Link,
    reason: &'a str,
    apply: Apply,
    rows: Vec<Row>,
    exit: Exit,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let apply = if args.yes { Apply::Yes } else { Apply::DryRun };
    if args.yes && args.reason.is_none() {
        return Err(InputError::new(Code::MissingField, "--reason", "", "given with --yes").into());
    }
    let tollgate = context.acting(context.open().await?).await?;
    let link = tollgate.server().link().await?;
    let reason = args.reason.unwrap_or_default();
    let (rows, exit) = (Vec::new(), Exit::Done);
    let mut repairer = Repairer { tollgate: &tollgate, link, reason: &reason, apply, rows, exit };
    repairer.run(args.noun).await?;
    let Repairer { rows, exit, .. } = repairer;
    let report = Report { applied: apply == Apply::Yes && !rows.is_empty(), changes: rows };
    let told = context.output().answer(&report, text(&report));
    if apply == Apply::DryRun && !report.changes.is_empty() {
        hint("nothing was changed: --yes --reason TEXT does it");
    }
    Ok(exit.combine(told))
}

fn text(report: &Report) -> String {
    if report.changes.is_empty() {
        return "nothing to repair".to_owned();
    }
    let shown =
        |value: &Option<String>| value.as_ref().map_or("nothing".to_owned(), |value| format!("{value:?}"));
    let mut lines: Vec<String> = report
        .changes
        .iter()
        .take(SHOWN_MAX)
        .map(|row| format!("{}  {}: {} -> {}", row.key, row.field, shown(&row.found), shown(&row.proved)))
        .collect();
    if report.changes.len() > SHOWN_MAX {
        lines.push(format!("and {} more", report.changes.len() - SHOWN_MAX));
    }
    lines.push(if report.applied { "repaired" } else { "to be repaired" }.to_owned());
    lines.join("\n")
}

impl Repairer<'_> {
    async fn run(&mut self, noun: What) -> anyhow::Result<()> {
        match noun {
            What::Account { id } => {
                let partition = self.tollgate.partition_of(Resource::Account(&id));
                self.one(partition, &Noun::Account(id)).await
            }
            What::Case { id } => {
                let partition = self.tollgate.partition_of(Resource::Case(&id));
                self.one(partition, &Noun::Case(id)).await
            }
            What::Campaign { id } => {
                let partition = self.tollgate.partition_of(Resource::Campaign(&id));
                self.one(partition, &Noun::Campaign(id)).await
            }
            What::Holders { id } => {
                let partition = self.tollgate.partition_of(Resource::Campaign(&id));
                self.one(partition, &Noun::Holders(id)).await
            }
            What::Inventory { id } => {
                let partition = self.tollgate.partition_of(Resource::Inventory(&id));
                self.one(partition, &Noun::Inventory(id)).await
            }
            What::Hold { id } => self.everywhere(&Noun::Hold(id)).await,
            What::Payouts => self.everywhere(&Noun::Payouts).await,
            What::Resources => self.everywhere(&Noun::Resources).await,
            What::Parked => self.parked().await,
            What::Queue { queue } => self.queue(Some(queue)).await,
            What::Queues => self.queue(None).await,
        }
    }

    async fn one(&mut self, partition: Partition, noun: &Noun) -> anyhow::Result<()> {
        let changes =
            repair::repair(self.tollgate, &mut self.link, partition, noun, self.reason, self.apply).await?;
        for Change { key, field, found, proved } in changes {
            self.rows.push(Row { partition: partition.number(), key, field, found, proved });
        }
        Ok(())
    }

    async fn everywhere(&mut self, noun: &Noun) -> anyhow::Result<()> {
        for partition in self.tollgate.partitions().iter() {
            self.one(partition, noun).await?;
        }
        Ok(())
    }

    async fn parked(&mut self) -> anyhow::Result<()> {
        for partition in self.tollgate.partitions().iter() {
            let link = &mut self.link;
            let wrong =
                repair::repair_parked(self.tollgate, link, partition, self.reason, self.apply).await?;
            for (id, result) in wrong {
                let (found, proved) = match result {
                    ParkedRepair::Lost => (Some("listed, and its bytes are gone".to_owned()), None),
                    ParkedRepair::Damaged => {
                        self.exit = self.exit.combine(Exit::Refused);
                        complain(format_args!(
                            "parked:{id}: its row cannot be read: `dead discard` gives it up"
                        ));
                        continue;
                    }
                    ParkedRepair::ToScheduled => (None, Some("in scheduled".to_owned())),
                    ParkedRepair::ToDead => (None, Some("in dead".to_owned())),
                    ParkedRepair::Unlisted => (Some("listed".to_owned()), Some("in its stream".to_owned())),
                    ParkedRepair::Intact => continue,
                };
                let (key, field) = (format!("parked:{id}"), "place".to_owned());
                self.rows.push(Row { partition: partition.number(), key, field, found, proved });
            }
        }
        Ok(())
    }

    async fn queue(&mut self, only: Option<QueueName>) -> anyhow::Result<()> {
        for partition in self.tollgate.partitions().iter() {
            let keys = self.tollgate.keys(partition);
            let names = match &only {
                Some(name) => vec![name.clone()],
                None => queue::known(&mut self.link, keys).await?,
            };
            for name in names {
                let mut found = queue::repair(&mut self.link, keys, &name, Apply::DryRun).await?;
                if self.apply == Apply::Yes && matches!(found, Repair::Repaired { .. }) {
                    let (tollgate, link) = (self.tollgate, &mut self.link);
                    repair::note_queue(tollgate, link, partition, name.as_str(), self.reason).await?;
                    found = queue::repair(&mut self.link, keys, &name, Apply::Yes).await?;
                }
                let (wrong, proved) = match found {
                    Repair::Intact => continue,
                    Repair::Repaired { wrong, waiting, lost } => {
                        (wrong, format!("{waiting} wait again, {lost} counted as lost"))
                    }
                    Repair::ForeignKey => bail!(
                        "queue {name}: its key holds something other than a stream: rename or delete that key, then repair again"
                    ),
                    Repair::TooMany(count) => {
                        bail!(
                            "queue {name}: {count} entries are too many to move: let workers settle them first"
                        )
                    }
                };
                let (key, field) = (format!("queue:{name}"), "state".to_owned());
                let (found, proved) = (Some(wrong), Some(proved));
                self.rows.push(Row { partition: partition.number(), key, field, found, proved });
            }
        }
        Ok(())
    }
}

//! `dead ls|show|retry|discard`: jobs that nobody could decide.
//!
//! They lie in the partition of their resource, so an id is asked of all. Lists are read in pages.

mod change;
mod list;
mod which;

use tollgate::code::Code;
use tollgate::ids::{JobId, QueueName};
use tollgate::input::InputError;

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::pages::{Filter, Page};
use which::{Which, reason};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List them, the oldest of each partition first
    Ls {
        /// Only those that are dead for this reason
        #[arg(long, value_name = "CODE", value_parser = reason)]
        reason: Option<Code>,
        /// Only those that came from this queue
        #[arg(long, value_name = "NAME")]
        queue: Option<QueueName>,
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        page: Page,
    },
    /// Show one with its bytes
    Show {
        /// Its id
        #[arg(value_name = "ID", value_parser = arguments::stored_id)]
        id: JobId,
    },
    /// Put them back into their queues, to be decided
    Retry(Which),
    /// Give them up for good; nothing was decided, so an id may be sent again
    Discard {
        #[command(flatten)]
        which: Which,
        /// Confirm --all
        #[arg(long, requires = "all")]
        yes: bool,
    },
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::Ls { reason, queue, filter, page } => {
            list::ls(context, reason, queue.as_ref(), &filter, &page).await
        }
        Verb::Show { id } => list::show(context, &id).await,
        Verb::Retry(which) => change::run(context, which, change::Change::Retry).await,
        Verb::Discard { which: Which { all: true, .. }, yes: false } => {
            let allowed = "given with --all, which gives every dead job up for good";
            Err(InputError::new(Code::MissingField, "--yes", "", allowed).into())
        }
        Verb::Discard { which, .. } => change::run(context, which, change::Change::Discard).await,
    }
}

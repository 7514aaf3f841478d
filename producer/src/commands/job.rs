//! `job history|waiting|scheduled|cancel`: what is known of one job, in the order of time, and which jobs wait.

mod cancel;
mod history;
mod lists;

use tollgate::ids::{JobId, QueueName};

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
    /// Everything that is known of a job, in order of time, and how long it was in each state; reads the whole journal
    History {
        /// The job
        #[arg(value_name = "ID", value_parser = arguments::stored_id)]
        id: JobId,
    },
    /// Cancel a job that waits for its time: it is decided as cancelled, and no copy of it has an effect after that
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

//! `campaign create|show|set-limit|close|ls`.

use crate::context::Context;
use crate::exit::Exit;
use std::path::PathBuf;

use tollgate::ids::CampaignId;
use tollgate::instant::Instant;
use tollgate::job::{Limit, Quantity};

use crate::arguments;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Create a campaign; the same again is a replay
    Create(CreateArgs),
    /// Show one campaign
    Show {
        /// The campaign
        id: CampaignId,
    },
    /// Change how much a campaign may issue
    SetLimit {
        /// The campaign
        id: CampaignId,
        /// The new limit
        #[arg(value_name = "N", value_parser = arguments::limit)]
        limit: Limit,
        /// Only if the limit is this now
        #[arg(long, value_name = "OLD", value_parser = arguments::limit)]
        expect: Option<Limit>,
    },
    /// Close a campaign for good
    Close {
        /// The campaign
        id: CampaignId,
    },
    /// List all campaigns
    Ls,
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// The campaign
    id: CampaignId,
    /// How many coupons it may issue in all [default with --codes-file: the number of distinct codes]
    #[arg(long, value_name = "N", value_parser = arguments::limit)]
    limit: Option<Limit>,
    /// How many one customer may have
    #[arg(long, value_name = "K", value_parser = arguments::quantity)]
    per_customer: Option<Quantity>,
    /// When it begins to issue (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    opens_at: Option<Instant>,
    /// When it no longer issues (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    closes_at: Option<Instant>,
    /// A file of codes, one a line: each redemption hands out one
    #[arg(long, value_name = "FILE")]
    codes_file: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}

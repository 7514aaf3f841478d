//! `campaign create|show|set-limit|reverse|close|ls`.

mod holders;

use std::path::PathBuf;

use clap::ArgGroup;
use serde::Serialize;
use tollgate::code::Code;
use tollgate::codes::Codes;
use tollgate::ids::{CampaignId, CustomerId, JobId};
use tollgate::input::InputError;
use tollgate::instant::Instant;
use tollgate::kinds::{CampaignClose, CampaignCreate, CampaignSetLimit, Fields, Reverse};
use tollgate::quantity::Limit;
use tollgate::quantity::Quantity;
use tollgate::resource::Resource;
use tollgate::resources::CampaignState;

use super::{codes_file, listing};
use crate::context::Context;
use crate::exit::Exit;
use crate::repeat::ChangeId;
use crate::resource_view::{Shown, window};
use crate::{arguments, operation};

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
        #[arg(value_name = "N", allow_hyphen_values = true, value_parser = arguments::limit)]
        limit: Limit,
        /// Only if the limit is this now
        #[arg(long, value_name = "OLD", allow_hyphen_values = true, value_parser = arguments::limit)]
        expect: Option<Limit>,
        /// Makes it repeatable: the same key sets it once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
    /// Close a campaign for good
    Close {
        /// The campaign
        id: CampaignId,
        /// Makes it repeatable: the same key closes once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
    /// Take a redemption back: its coupons are void, and the campaign may issue as many again
    Reverse {
        /// The campaign
        id: CampaignId,
        /// Whose redemption it was
        customer: CustomerId,
        /// The id of the redemption
        of: JobId,
        /// How many coupons it was
        #[arg(long, value_name = "N", default_value = "1", allow_hyphen_values = true, value_parser = arguments::quantity)]
        quantity: Quantity,
        /// Hand the code that it had out again, to whoever redeems next
        #[arg(long)]
        reissue_code: bool,
        /// Makes it repeatable: the same key reverses once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
    /// List all campaigns
    Ls,
    /// Who has redeemed how much
    Holders {
        /// The campaign
        id: CampaignId,
        /// Only this customer
        customer: Option<CustomerId>,
    },
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("how_many").args(["limit", "codes_file"]).required(true).multiple(true)))]
struct CreateArgs {
    /// The campaign
    id: CampaignId,
    /// How many coupons it may issue in all [default with --codes-file: the number of distinct codes]
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        value_parser = arguments::limit
    )]
    limit: Option<Limit>,
    /// How many one customer may have [default: no bound]
    #[arg(long, value_name = "K", allow_hyphen_values = true, value_parser = arguments::quantity)]
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
    /// Hand out codes that another campaign hands out too
    #[arg(long, requires = "codes_file")]
    share_codes: bool,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (key, request) = match args.verb {
        Verb::Create(args) => return create(context, args).await,
        Verb::Show { id } => {
            return listing::show::<CampaignState>(context, Resource::Campaign(&id), &id).await;
        }
        Verb::Holders { id, customer } => return holders::run(context, &id, customer.as_ref()).await,
        Verb::Ls => return listing::ls::<CampaignState>(context).await,
        Verb::SetLimit { id: campaign, limit, expect: expected, key } => {
            (key, CampaignSetLimit { campaign, limit, expected }.into())
        }
        Verb::Reverse { id: campaign, customer, of, quantity, reissue_code, key } => {
            (key, Reverse { campaign, customer, quantity, of, reissue_code }.into())
        }
        Verb::Close { id: campaign, key } => (key, CampaignClose { campaign }.into()),
    };
    let change = ChangeId::given_or_fresh(key);
    operation::run(context, &context.open_or_init().await?, &change, &request).await
}

async fn create(context: &Context, args: CreateArgs) -> anyhow::Result<Exit> {
    let CreateArgs { id: campaign, limit, per_customer, opens_at, closes_at, codes_file, share_codes } = args;
    let codes = codes_file.as_deref().map(codes_file::read).transpose()?;
    let limit = limit_of(limit, codes.as_ref())?;
    let change = ChangeId::of_name(JobId::create_campaign(&campaign));
    let terms = CampaignCreate { campaign, limit, per_customer, opens_at, closes_at, codes: None };
    terms.check()?;

    let tollgate = context.open_or_init().await?;
    let Some(codes) = codes else {
        return operation::run(context, &tollgate, &change, &terms.into()).await;
    };
    // Codes first: settle refuses a campaign whose list is not all there. A process that dies midway leaves part
    // of a list that the same command completes, under a name that only this content has.
    let owner = (change.id(), Resource::Campaign(&terms.campaign));
    if let Some(exit) = codes_file::upload(context, &tollgate, &codes, owner, share_codes).await? {
        return Ok(exit);
    }
    let terms = CampaignCreate { codes: Some(codes.name().clone()), ..terms };
    operation::run(context, &tollgate, &change, &terms.into()).await
}

/// The limit that was typed; where codes are handed out, it is their number.
fn limit_of(limit: Option<Limit>, codes: Option<&Codes>) -> Result<Limit, InputError> {
    match (limit, codes) {
        (Some(limit), Some(codes)) if limit != codes.limit() => {
            let allowed = format!("{}, the number of distinct codes", codes.limit().get());
            Err(InputError::new(Code::LimitOutOfRange, "--limit", &limit.get().to_string(), &allowed))
        }
        (_, Some(codes)) => Ok(codes.limit()),
        (Some(limit), None) => Ok(limit),
        (None, None) => Err(InputError::new(Code::MissingField, "--limit", "", "given")),
    }
}

/// A campaign as `--json` shows it; what cannot be read is null.
#[derive(Serialize)]
pub(crate) struct CampaignView<'a> {
    campaign: &'a str,
    limit: Option<u64>,
    issued: Option<u64>,
    reversed: Option<u64>,
    per_customer: Option<u64>,
    opens_at: Option<String>,
    closes_at: Option<String>,
    codes: Option<&'a str>,
    status: &'a str,
}

impl Shown for CampaignState {
    type View<'a> = CampaignView<'a>;
    const NOT_FOUND: Code = Code::CampaignNotFound;

    fn view<'a>(id: &'a str, state: Option<&'a Self>, status: &'a str) -> CampaignView<'a> {
        CampaignView {
            campaign: id,
            limit: state.map(|state| state.limit.get()),
            issued: state.map(|state| state.issued),
            reversed: state.map(|state| state.reversed),
            per_customer: state.and_then(|state| state.per_customer).map(Quantity::get),
            opens_at: state.and_then(|state| state.opens_at).map(|at| at.to_string()),
            closes_at: state.and_then(|state| state.closes_at).map(|at| at.to_string()),
            codes: state.and_then(|state| state.codes.as_ref()).map(|codes| codes.as_str()),
            status,
        }
    }

    fn status(&self) -> &'static str {
        self.status.name()
    }

    fn text(&self) -> String {
        let mut text = format!("{} of {} issued", self.issued, self.limit.get());
        let mut add = |words: String| text.push_str(&words);
        if self.reversed > 0 {
            add(format!(", {} reversed", self.reversed));
        }
        self.per_customer.iter().for_each(|most| add(format!(", {} per customer", most.get())));
        add(window(self.opens_at, self.closes_at));
        self.codes.iter().for_each(|_| add(", with codes".to_owned()));
        text
    }
}

//! `case open|show|amend|decide|ls`.

use clap::ArgGroup;
use serde::Serialize;
use tollgate::case::{CaseState, Word};
use tollgate::code::Code;
use tollgate::ids::{CaseId, CaseOption, JobId};
use tollgate::kinds::{CaseAmend, CaseOpen, Decide, Fields};
use tollgate::options::Options;
use tollgate::quantity::Version;
use tollgate::reason::Reason;
use tollgate::resource::Resource;

use super::listing;
use crate::context::Context;
use crate::exit::Exit;
use crate::repeat::ChangeId;
use crate::resource_view::Shown;
use crate::{arguments, operation};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Open a case, which is decided once; the same again is a replay
    Open {
        /// The case
        id: CaseId,
        /// What it can be decided as: 1 to 16 names, a comma between two
        #[arg(long, value_name = "A,B", default_value = "approve,reject")]
        options: Options,
    },
    /// Show one case
    Show {
        /// The case
        id: CaseId,
    },
    /// Give an undecided case a new version: whoever has read the one before cannot decide with --expect-version any more
    #[command(group(ArgGroup::new("change").args(["options", "reason"]).required(true).multiple(true)))]
    Amend {
        /// The case
        id: CaseId,
        /// What it can be decided as from now on; it or --reason must be given
        #[arg(long, value_name = "A,B")]
        options: Option<Options>,
        /// What has changed; the journal keeps it for ever
        #[arg(long, value_name = "TEXT")]
        reason: Option<Reason>,
        /// Only if the case has this version
        #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = arguments::version)]
        expect_version: Option<Version>,
        /// Makes it repeatable: the same key amends once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
    /// Decide a case, by whom --by says: the first decision stands
    Decide {
        /// The case
        id: CaseId,
        /// One of its options
        #[arg(long, value_name = "OPTION")]
        decision: CaseOption,
        /// Only if the case has this version: the one that was read
        #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = arguments::version)]
        expect_version: Option<Version>,
        /// Why; the journal keeps it for ever
        #[arg(long, value_name = "TEXT")]
        reason: Option<Reason>,
        /// Makes it repeatable: the same key decides once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
    /// List all cases
    Ls,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::Show { id } => listing::show::<CaseState>(context, Resource::Case(&id), &id).await,
        Verb::Ls => listing::ls::<CaseState>(context).await,
        Verb::Open { id: case, options } => {
            let change = ChangeId::of_name(JobId::open_case(&case));
            let request = CaseOpen { case, options }.into();
            operation::run(context, &context.open_or_init().await?, &change, &request).await
        }
        Verb::Amend { id: case, options, reason, expect_version, key } => {
            let amend = CaseAmend { case, options, reason, expect_version };
            amend.check()?;
            let change = ChangeId::given_or_fresh(key);
            operation::run(context, &context.open_or_init().await?, &change, &amend.into()).await
        }
        Verb::Decide { id: case, decision, expect_version, reason, key } => {
            let tollgate = context.open_or_init().await?;
            let by = tollgate.by().cloned().unwrap_or_default();
            let request = Decide { case, decision, by, expect_version, reason }.into();
            operation::run(context, &tollgate, &ChangeId::given_or_fresh(key), &request).await
        }
    }
}

/// A case as `--json` shows it; what cannot be read is null.
#[derive(Serialize)]
pub(crate) struct CaseView<'a> {
    case: &'a str,
    options: Option<Vec<&'a str>>,
    version: Option<u64>,
    decision: Option<&'a str>,
    by: Option<&'a str>,
    reason: Option<&'a str>,
    decided_seq: Option<u64>,
    status: &'a str,
}

impl Shown for CaseState {
    type View<'a> = CaseView<'a>;
    const NOT_FOUND: Code = Code::CaseNotFound;

    fn view<'a>(id: &'a str, state: Option<&'a Self>, status: &'a str) -> CaseView<'a> {
        let word = state.and_then(|state| state.word.as_ref());
        CaseView {
            case: id,
            options: state.map(|state| state.options.iter().map(CaseOption::as_str).collect()),
            version: state.map(|state| state.version.get()),
            decision: word.map(|word| word.decision.as_str()),
            by: word.map(|word| word.by.as_str()),
            reason: word.and_then(|word| word.reason.as_ref()).map(Reason::as_str),
            decided_seq: word.and(state).map(|state| state.seq),
            status,
        }
    }

    fn status(&self) -> &'static str {
        if self.word.is_some() { "decided" } else { "open" }
    }

    fn text(&self) -> String {
        let Self { options, version, word, seq } = self;
        let version = version.get();
        match word {
            None => format!("version {version}, {}", options.as_str().replace(',', " or ")),
            Some(Word { decision, by, reason }) => {
                let reason = reason.iter().map(|reason| format!(": {reason}")).collect::<String>();
                format!("{decision} by {by} at seq {seq}, version {version}{reason}")
            }
        }
    }
}

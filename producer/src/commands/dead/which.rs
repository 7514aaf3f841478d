//! Which dead jobs a command is about.

use clap::ArgGroup;
use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::input::InputError;

use crate::arguments;

/// Which jobs are meant.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("which").args(["ids", "all"]).required(true).multiple(true)))]
pub(super) struct Which {
    /// Their ids
    #[arg(value_name = "ID", value_parser = arguments::stored_id)]
    pub(super) ids: Vec<JobId>,
    /// All that are dead now
    #[arg(long, conflicts_with = "ids")]
    pub(super) all: bool,
    /// Of those, only the ones that are dead for this reason
    #[arg(long, value_name = "CODE", requires = "all", value_parser = reason)]
    pub(super) reason: Option<Code>,
}

/// Reads a reason.
pub(super) fn reason(text: &str) -> Result<Code, InputError> {
    Code::from_name(text).ok_or_else(|| {
        InputError::new(
            Code::NameMalformed,
            "reason",
            text,
            "a code of docs/codes.md, for example worker_lost",
        )
    })
}

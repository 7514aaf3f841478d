//! A file of codes, as campaigns and inventories hand them out: read whole, then uploaded, before what hands them out is made.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use tollgate::Tollgate;
use tollgate::code::Code;
use tollgate::codes::{Codes, CodesError, Shared};
use tollgate::ids::JobId;
use tollgate::input::InputError;
use tollgate::resource::Resource;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{hint, say};

/// Why something is not created, as JSON: the same fields as what comes of an operation.
#[derive(Serialize)]
struct NotCreated<'a> {
    id: &'a str,
    partition: u16,
    class: &'static str,
    code: &'static str,
    seq: Option<u64>,
    replayed: bool,
    now: String,
}

/// Uploads the codes of what is to be created under an id. Where something else hands out some of them it says so, uploads
/// none, and answers how the command ends.
///
/// # Errors
/// Redis's. Some of the list may have been written: the same again writes the same.
pub(super) async fn upload(
    context: &Context,
    tollgate: &Tollgate,
    codes: &Codes,
    (id, owner): (&JobId, Resource<'_>),
    share_codes: bool,
) -> anyhow::Result<Option<Exit>> {
    let mut link = tollgate.server().link().await?;
    let partition = tollgate.partition_of(owner);
    if !share_codes && let Some(shared) = codes.shared_with(tollgate, &mut link, owner).await? {
        let code = Code::CodesInUse;
        let answer = NotCreated {
            id: id.as_str(),
            partition: partition.number(),
            class: code.class().name(),
            code: code.name(),
            seq: None,
            replayed: false,
            now: described(&shared),
        };
        let told = format!("{code}: {}: {}\n  {owner}, id {id}", code.meaning(), answer.now);
        let told = context.output().answer(&answer, told);
        hint("--share-codes creates it all the same: then one code may be given to two customers");
        return Ok(Some(Exit::Refused.combine(told)));
    }
    codes.upload(&mut link, tollgate.keys(partition)).await.context("uploading the codes")?;
    Ok(None)
}

fn described(shared: &Shared) -> String {
    match shared {
        Shared::List { with } => format!("{with} hands out the same list of codes"),
        Shared::Codes { with, count, first } => format!(
            "{with} hands out {count} of these codes too, the first of them is number {first} of the list"
        ),
    }
}

/// Reads the file.
///
/// # Errors
/// Names the first line that is no code.
pub(super) fn read(path: &Path) -> anyhow::Result<Codes> {
    let wrong = |what: &str| {
        let shown = path.display().to_string();
        InputError::new(
            Code::WrongType,
            "--codes-file",
            &shown,
            &format!("a readable file of codes ({what})"),
        )
    };
    let file = File::open(path).map_err(|error| wrong(&error.to_string()))?;
    let codes = Codes::read(BufReader::new(file)).map_err(|error| match error {
        CodesError::Io(error) => anyhow::Error::from(wrong(&error.to_string())),
        CodesError::Line { line, error } => {
            anyhow::Error::from(error).context(format!("{}: line {line}", path.display()))
        }
        CodesError::Count(error) => anyhow::Error::from(error).context(path.display().to_string()),
    })?;
    match codes.duplicates() {
        0 => {}
        count => say(format_args!("{}: {count} repeated codes are left out", path.display())),
    }
    Ok(codes)
}

//! A file of codes, as campaigns and inventories hand them out: read whole, then uploaded, before what hands them out is made.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context as _, bail};
use tollgate::Tollgate;
use tollgate::code::Code;
use tollgate::codes::{Codes, CodesError, Shared};
use tollgate::input::InputError;
use tollgate::link::Link;
use tollgate::resource::Resource;

use crate::output::{hint, say};

/// Uploads the codes of what is to be created, unless something else hands out some of them.
///
/// # Errors
/// Redis's, or what shares them. Some of the list may have been written: the same again writes the same.
pub(super) async fn upload(
    tollgate: &Tollgate,
    link: &mut Link,
    codes: &Codes,
    owner: Resource<'_>,
    share_codes: bool,
) -> anyhow::Result<()> {
    if !share_codes && let Some(shared) = codes.shared_with(tollgate, link, owner).await? {
        hint("--share-codes creates it all the same: then one code may be given to two customers");
        let owner = owner.to_string().replacen(':', " ", 1);
        bail!("{owner} is not created: {}", described(&shared));
    }
    codes.upload(link, tollgate.keys(tollgate.partition_of(owner))).await.context("uploading the codes")
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

//! The id of a change, printed before the change is sent, and the command that repeats it under that id.
//!
//! Whoever loses the answer (a timeout, a signal, a broken connection) finds the id on stderr. Must not print a
//! secret: whatever of a URL stands before its last `@` is left out of the command that is shown.

use std::ffi::OsString;

use tollgate::ids::JobId;

use crate::output::{always_say, hint, is_watched, warn};

/// The id of one change, and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct ChangeId {
    id: JobId,
    source: IdSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IdSource {
    /// `--id`, or the name of what is created: the same command again is the same change.
    Stable,
    /// Made for this call: without `--id` the same command again is another change.
    Fresh,
}

impl ChangeId {
    /// The id that was typed, else a fresh one.
    pub(crate) fn given_or_fresh(given: Option<JobId>) -> Self {
        match given {
            Some(id) => Self { id, source: IdSource::Stable },
            None => Self { id: JobId::fresh(), source: IdSource::Fresh },
        }
    }

    /// An id that the command line determines without `--id`.
    pub(crate) fn of_name(id: JobId) -> Self {
        Self { id, source: IdSource::Stable }
    }

    pub(crate) fn id(&self) -> &JobId {
        &self.id
    }

    /// Prints the id, before anything is sent. Where no person watches, something may repeat the command: then
    /// it says that this would be another change.
    pub(crate) fn announce(&self) {
        always_say(format_args!("id {}", self.id));
        if self.source == IdSource::Fresh && !is_watched() {
            warn("without --id the same command again is a new request under a new id");
        }
    }

    /// Prints what to run if the answer did not arrive.
    pub(crate) fn hint_to_repeat(&self) {
        let id = (self.source == IdSource::Fresh).then_some(&self.id);
        let command = command_line(std::env::args_os(), id);
        hint(format_args!("this repeats it and has no second effect:\n  {command}"));
    }
}

/// The command line, quoted for a shell, with `--id` added where it was not given.
fn command_line(words: impl Iterator<Item = OsString>, id: Option<&JobId>) -> String {
    let mut words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(id) = id {
        // After `--` everything is a positional value.
        let at = words.iter().position(|word| word == "--").unwrap_or(words.len());
        words.splice(at..at, ["--id".to_owned(), id.to_string()]);
    }
    let mut is_url = false;
    let shown = words.iter().map(|word| {
        let url = std::mem::replace(&mut is_url, word == "--redis-url");
        quoted(&if url || word.starts_with("--redis-url=") {
            without_credentials(word)
        } else {
            word.clone()
        })
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Only what stands after the last `@`, and what a URL begins with.
fn without_credentials(word: &str) -> String {
    match (word.split_once("://"), word.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, address))) => format!("{scheme}://{address}"),
        (None, Some((_, address))) => address.to_owned(),
        _ => word.to_owned(),
    }
}

/// One word for a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(words: &[&str], id: Option<&str>) -> String {
        let id = id.map(|id| JobId::parse(id).unwrap());
        command_line(words.iter().map(OsString::from), id.as_ref())
    }

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        assert_eq!(shown(&["t", "close", "a b"], Some("k1")), "t close 'a b' --id k1");
        assert_eq!(shown(&["t", "close", "--", "-x"], Some("k 1")), "t close --id 'k 1' -- -x");
        assert_eq!(shown(&["t", "it's", "$(x)", ""], None), r"t 'it'\''s' '$(x)' ''");
    }

    #[test]
    fn no_secret_is_shown() {
        for words in [
            ["t", "--redis-url", "redis://u:p@ss@host:1/2"].as_slice(),
            &["t", "--redis-url=redis://u:p@ss@host:1/2"],
            &["t", "--redis-url=u:p@ss@host:1"],
            &["t", "--redis-url", "u:p@ss@host:1"],
        ] {
            let shown = shown(words, None);
            assert!(!shown.contains("p@") && !shown.contains("ss@") && shown.contains("host:1"), "{shown}");
        }
    }
}

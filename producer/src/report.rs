//! What an error is told as: on stderr, with what to do about it.

use std::error::Error;
use std::io;

use tollgate_cli::hints;

use crate::exit::Exit;
use crate::output::{complain, hint};

/// Says on stderr what went wrong and what to do about it.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    // Whoever read our data has gone, and knows it.
    if error.chain().any(is_broken_pipe) {
        return Exit::Refused;
    }
    complain(format_args!("{error:#}"));
    if let Some(words) = error.chain().find_map(hints::of) {
        hint(words);
    }
    Exit::of_error(error)
}

fn is_broken_pipe(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

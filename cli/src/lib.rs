//! What the command lines of the Tollgate programs have in common: one rule for what is set but empty, and what to do
//! about an error of the library ([`hints`]).
//!
//! - An environment variable that is set but empty is as one that is not set: what `${NAME}` in a compose file or
//!   `export NAME=` in a script leaves behind.
//! - A value on the command line that is empty is an error that names its flag: somebody meant to say something.
//!
//! Variables that no flag stands for follow the same rule (`tollgate::env`). Relies on clap for everything else.

mod files;
pub mod hints;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, Parser};

/// Whether what a program writes to stderr may have colours: where a person watches, unless `NO_COLOR` is set.
pub fn stderr_has_colours() -> bool {
    let is_refused = std::env::var_os(tollgate::env::NO_COLOR).is_some_and(|value| !value.is_empty());
    io::IsTerminal::is_terminal(&io::stderr()) && !is_refused
}

/// Exit code of a program that may not open the files it needs.
const NO_FILES: i32 = 1;
/// Exit code of a program whose help could not be written.
const NOT_WRITTEN: i32 = 1;

/// Reads the command line of this process. Whatever is no command to run (an error, `--help`, `--version`) is printed
/// and ends the process: with exit code 2, or 0, or 1 where help could not be written.
pub fn parse<T: Parser>() -> T {
    if let Err(words) = files::raise_the_limit() {
        let _ = writeln!(std::io::stderr(), "error: {words}");
        std::process::exit(NO_FILES);
    }
    try_parse_from(std::env::args_os()).unwrap_or_else(|error| {
        // What is read by a program is told to a program, also where the command line itself is wrong.
        if error.exit_code() != 0 && std::env::args_os().any(|word| word == "--json") {
            let message = error.render().to_string();
            let message = message.strip_prefix("error: ").unwrap_or(&message).trim_end();
            let line = serde_json::json!({ "level": "error", "message": message });
            let _ = writeln!(std::io::stderr(), "{line}");
            std::process::exit(error.exit_code());
        }
        let printed = error.print().and_then(|()| std::io::stdout().flush());
        let code = if printed.is_err() && error.exit_code() == 0 { NOT_WRITTEN } else { error.exit_code() };
        std::process::exit(code)
    })
}

/// Reads these words, the first of which is the program.
///
/// # Errors
/// clap's, and its like for an empty value.
pub fn try_parse_from<T: Parser>(
    words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<T, clap::Error> {
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let mut command = without_variables(T::command(), &is_empty);
    let matches = command.try_get_matches_from_mut(&words);
    let mut matches = matches.map_err(|error| with_usage_of_the_words(T::command(), &words, error))?;
    refuse_empty_values(&mut command, &matches)?;
    T::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The long names of the flags among these words, the first of which is the program: what was typed, whatever the
/// environment says.
pub fn typed_flags<T: Parser>(words: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let command = without_variables(T::command(), &|_| true).ignore_errors(true);
    let arguments: Vec<_> = command.get_arguments().cloned().collect();
    let Ok(matches) = command.try_get_matches_from(words) else { return Vec::new() };
    let is_typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let typed = arguments.iter().filter(|arg| is_typed(arg.get_id().as_str()));
    typed.filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
}

/// Writes the manual page of a program, and one for each of its commands, into a directory that it makes if need be.
/// They are made from what `--help` is made from.
///
/// # Errors
/// Where the directory or a page cannot be written.
pub fn write_manual<T: Parser>(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(T::command(), dir)
}

/// Whether a variable is set but empty.
fn is_empty(name: &OsStr) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}

/// Takes these variables away from the flags that they stand for.
fn without_variables(command: Command, is_meant: &dyn Fn(&OsStr) -> bool) -> Command {
    let command = command.mut_args(|arg| match arg.get_env() {
        Some(name) if is_meant(name) => arg.env(Resettable::Reset),
        _ => arg,
    });
    command.mut_subcommands(|command| without_variables(command, is_meant))
}

/// The same error with a usage line of what was typed and what is missing: clap lists there whatever has a value, and
/// would name each flag whose variable is set as if it had to be given.
fn with_usage_of_the_words(command: Command, words: &[OsString], error: clap::Error) -> clap::Error {
    match without_variables(command, &|_| true).try_get_matches_from(words) {
        Err(same) if same.kind() == error.kind() => same,
        _ => error,
    }
}

fn refuse_empty_values(command: &mut Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let is_empty = |id: &str| {
        matches.value_source(id) == Some(ValueSource::CommandLine)
            && matches
                .try_get_raw(id)
                .ok()
                .flatten()
                .is_some_and(|mut values| values.any(|value| value.is_empty()))
    };
    let empty = command.get_arguments().find(|arg| {
        matches.try_contains_id(arg.get_id().as_str()).is_ok() && is_empty(arg.get_id().as_str())
    });
    if let Some(arg) = empty.map(ToString::to_string) {
        let words = format!("invalid value '' for '{arg}': must not be empty; leave it out for the default");
        return Err(command.error(ErrorKind::InvalidValue, words));
    }
    match matches.subcommand() {
        Some((name, matches)) => match command.find_subcommand_mut(name) {
            Some(command) => refuse_empty_values(command, matches),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Args {
        #[arg(long, global = true)]
        url: Option<String>,
        #[arg(long, global = true, env = "PATH")]
        path: Option<String>,
        #[arg(long)]
        switch: bool,
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Verb {
        Read {
            #[arg(long)]
            file: String,
        },
        Say {
            words: Vec<String>,
            #[arg(long, num_args = 0..=1, default_missing_value = "5s")]
            wait: Option<String>,
        },
    }

    #[test]
    fn an_empty_value_is_an_error_that_names_its_flag() {
        for (words, named) in [
            (&["x", "--url", "", "say"][..], "'--url <URL>'"),
            (&["x", "say", "--url="], "'--url <URL>'"),
            (&["x", "say", "a", ""], "'[WORDS]...'"),
            (&["x", "say", "--wait="], "'--wait [<WAIT>]'"),
        ] {
            let error = try_parse_from::<Args>(words).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
            assert!(error.to_string().contains(named), "{words:?}: {error}");
        }
        let args = try_parse_from::<Args>(["x", "--switch", "say", "a", "--wait", "--url", "u"]).unwrap();
        let Verb::Say { words, wait } = args.verb else { panic!("{:?}", args.verb) };
        assert_eq!((args.url.as_deref(), args.switch, wait.as_deref()), (Some("u"), true, Some("5s")));
        assert_eq!(words, ["a"]);
    }

    #[test]
    fn a_variable_that_is_set_is_no_part_of_the_usage_line() {
        let error = try_parse_from::<Args>(["x", "read", "--url", "u"]).unwrap_err().to_string();
        assert!(error.contains("--file <FILE>") && error.contains("--url <URL>"), "{error}");
        assert!(!error.contains("--path"), "{error}");
    }
}

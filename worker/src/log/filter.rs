//! `RUST_LOG`: which lines are logged. Read once, at the start, and refused where it would silently log nothing.
//!
//! A bare word that is no level is the name of a crate to `tracing`, so that `inof` would log that crate and nothing
//! else. Pure but for [`Filter::from_env`].

use tollgate::env::RUST_LOG;
use tracing_subscriber::EnvFilter;

const DEFAULT: &str = "info";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// The crates whose lines there are: ours, and what they build on.
const CRATES: [&str; 15] = [
    "tollgate",
    "tollgate_worker",
    "axum",
    "deadpool",
    "deadpool_redis",
    "hyper",
    "hyper_util",
    "mio",
    "redis",
    "reqwest",
    "rustls",
    "tokio",
    "tokio_util",
    "tower",
    "tracing",
];

/// A filter that was found to be readable.
pub(crate) struct Filter(pub(super) EnvFilter);

impl Filter {
    /// What `RUST_LOG` says; unset or empty: `info`.
    ///
    /// # Errors
    /// It cannot be read; the message names the part.
    pub(crate) fn from_env() -> Result<Self, String> {
        let text = match std::env::var(RUST_LOG) {
            Ok(text) => text,
            Err(std::env::VarError::NotPresent) => String::new(),
            Err(std::env::VarError::NotUnicode(_)) => return Err(format!("{RUST_LOG}: must be text")),
        };
        let filter = checked(&text).map_err(|what| format!("{RUST_LOG}={text}: {what}"))?;
        EnvFilter::try_new(filter).map(Self).map_err(|error| format!("{RUST_LOG}={text}: {error}"))
    }
}

/// The filter, with the level of everything that it does not name.
fn checked(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let mut names_a_level = false;
    for part in &parts {
        // `crate[span{field=value}]=level`: we have no spans, but others do.
        if let Some((name, span)) = part.split_once('[') {
            if let Some(what) = wrong_span(name, span) {
                return Err(format!("`{part}`: {what}; for example tower[request{{id=1}}]=debug"));
            }
            continue;
        }
        let (name, level) = part.split_once('=').map_or((*part, None), |(name, level)| (name, Some(level)));
        if let Some(level) = level.filter(|level| !is_level(level)) {
            return Err(format!("`{level}` is no level; allowed: {}", LEVELS.join(", ")));
        }
        if level.is_none() && is_level(name) {
            names_a_level = true;
        } else if !is_crate(name) {
            let levels = LEVELS.join(", ");
            return Err(format!(
                "`{name}` is neither a level ({levels}) nor a crate that logs ({}); for example tollgate_worker=debug",
                CRATES.join(", ")
            ));
        }
    }
    // Whoever asks for more of one crate does not mean to lose the others.
    let default = (!names_a_level).then_some(DEFAULT);
    Ok(default.into_iter().chain(parts).collect::<Vec<_>>().join(","))
}

/// What is wrong with a part that names a span: the crate before its `[`, and what is behind it.
fn wrong_span(name: &str, span: &str) -> Option<&'static str> {
    match span.rsplit_once(']') {
        None => Some("its `[` has no `]`"),
        Some(_) if !name.is_empty() && !is_crate(name) => Some("what is before `[` is no crate that logs"),
        Some((_, "")) => None,
        Some((_, level)) if level.strip_prefix('=').is_some_and(is_level) => None,
        Some(_) => Some("what is behind `]` is no `=` and a level"),
    }
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
        || word.parse::<usize>().is_ok_and(|number| number < LEVELS.len())
}

fn is_crate(target: &str) -> bool {
    CRATES.contains(&target.split("::").next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_unset_and_what_is_not_named_stays_at_info() {
        for (text, filter) in [
            ("", "info"),
            (" , ", "info"),
            ("debug", "debug"),
            ("WARN", "WARN"),
            ("tollgate_worker=debug", "info,tollgate_worker=debug"),
            ("tollgate_worker::agents=trace, warn", "tollgate_worker::agents=trace,warn"),
            ("off,tollgate=info", "off,tollgate=info"),
            ("redis", "info,redis"),
            ("tower[request{id=1}]=debug", "info,tower[request{id=1}]=debug"),
            ("[request]", "info,[request]"),
        ] {
            assert_eq!(checked(text).as_deref(), Ok(filter), "{text}");
            assert!(EnvFilter::try_new(filter).is_ok(), "{filter}");
        }
    }

    #[test]
    fn what_would_log_nothing_is_refused_by_name() {
        for (text, named) in [
            ("inof", "`inof` is neither"),
            ("debg,tollgate=info", "`debg` is neither"),
            ("tollgate=verbose", "`verbose` is no level"),
            ("tollgate-worker=debug", "`tollgate-worker` is neither"),
            ("tolgate=debug", "`tolgate` is neither"),
            ("info;debug", "`info;debug` is neither"),
            ("7", "`7` is neither"),
            ("tollgate=", "`` is no level"),
            ("b@d value{", "`b@d value{` is neither"),
            ("\"info\"", "is neither"),
            ("tower[request", "has no `]`"),
            ("b@d[request]=info", "is no crate"),
            ("tower[request]=loud", "is no `=` and a level"),
        ] {
            let refused = checked(text).unwrap_err();
            assert!(refused.contains(named), "{text}: {refused}");
        }
    }
}

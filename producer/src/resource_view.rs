//! How a campaign or an account is shown: its JSON, and one line for people.

use serde::Serialize;
use tollgate::code::Code;
use tollgate::instant::Instant;
use tollgate::resources::Listed;

/// A resource that can be shown.
pub(crate) trait Shown: Listed {
    /// Its JSON.
    type View<'a>: Serialize
    where
        Self: 'a;
    /// The code of its absence.
    const NOT_FOUND: Code;

    /// The JSON of a state; of none, if it cannot be read.
    fn view<'a>(id: &'a str, state: Option<&'a Self>, status: &'a str) -> Self::View<'a>;
    /// Open or closed.
    fn status(&self) -> &'static str;
    /// One line for people, without id and status.
    fn text(&self) -> String;
}

/// When a sale begins and ends, or that it has, by this machine's clock: its status is open all the same.
pub(crate) fn window(opens_at: Option<Instant>, closes_at: Option<Instant>) -> String {
    let now = Instant::now();
    let words = |at: Option<Instant>, to_come: &str, past: &str| {
        at.map(|at| format!(", {} {at}", if at > now { to_come } else { past })).unwrap_or_default()
    };
    words(opens_at, "opens", "opened") + &words(closes_at, "closes", "its time was over at")
}

//! How a campaign or an account is shown: its JSON, and one line for people.

use serde::Serialize;
use tollgate::code::Code;
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

//! Lists of coupon codes: read from a file, uploaded before their campaign exists, handed out by number
//! (see `coupon`).
//!
//! Redemption number n of a campaign owns code n. A list is named by its content, so an upload that was cut off
//! is finished by repeating it, and nothing ever changes a list: whoever has the name has the codes.
//! Relies on `settle` to refuse a campaign whose list is not all there.

mod line;
mod list;
mod others;

pub use line::CODE_BYTES_MAX;
pub use list::{CODES_MAX, Codes, CodesError, Namer};
pub use others::Shared;

//! From when until when a campaign issues, or an inventory sells.

use crate::protocol::code::Code;
use crate::protocol::input::InputError;
use crate::protocol::instant::Instant;

/// Refuses a window that ends before it begins.
pub(super) fn check_window(opens_at: Option<Instant>, closes_at: Option<Instant>) -> Result<(), InputError> {
    match (opens_at, closes_at) {
        (Some(opens), Some(closes)) if closes <= opens => Err(InputError::new(
            Code::WindowEmpty,
            "closes_at",
            &closes.to_string(),
            &format!("after opens_at, {opens}"),
        )),
        _ => Ok(()),
    }
}

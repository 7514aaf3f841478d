//! What both halves of the screen are put together from.

use ratatui::style::{Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Cell, Paragraph, Row, Wrap};

use crate::table::age;

/// Jobs older than this are shown in yellow, and ten times that in red.
const OLD_MS: u64 = 10_000;

pub(super) fn block(title: impl Into<Line<'static>>) -> Block<'static> {
    Block::bordered().border_type(BorderType::Rounded).border_style(Style::new().dark_gray()).title(title)
}

/// Words where a table would be empty.
pub(super) fn words(title: String, text: Span<'static>) -> Paragraph<'static> {
    Paragraph::new(text).wrap(Wrap { trim: true }).block(block(title))
}

/// An age, in yellow or red (and bold) where it is one.
pub(super) fn aged(age_ms: Option<u64>) -> Span<'static> {
    let text = Span::raw(age(age_ms));
    match age_ms {
        Some(ms) if ms >= 10 * OLD_MS => text.red().bold(),
        Some(ms) if ms >= OLD_MS => text.yellow(),
        _ => text,
    }
}

pub(super) fn right(text: impl Into<Span<'static>>) -> Cell<'static> {
    Cell::from(Line::from(text.into()).right_aligned())
}

pub(super) fn head<const N: usize>(cells: [Cell<'static>; N]) -> Row<'static> {
    Row::new(cells).style(Style::new().add_modifier(Modifier::DIM))
}

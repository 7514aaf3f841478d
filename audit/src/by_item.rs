//! What a customer has of those items of an order that have a limit of their own, as a journal line says it.
//!
//! Pure. That it follows from the lines before it is proved in sum, as what a customer has of an inventory is.

use tollgate::item_counts;
use tollgate::journal::Line;

/// The items of a line that have a limit of their own, in the order of the line.
pub(super) struct ByItem<'a>(Vec<ItemCount<'a>>);

/// What the customer has of one of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct ItemCount<'a> {
    pub(super) item: &'a str,
    most: u64,
    pub(super) before: u64,
    pub(super) after: u64,
}

impl<'a> ByItem<'a> {
    /// Reads what a line says of items, each with its limit, of which the customer gets so many more; `is_done` if it says
    /// what they have after it, and not what they had. Nobody has more of an item than is `out` in all.
    pub(super) fn of_line(
        limited: impl IntoIterator<Item = (&'a str, u64, i128)>,
        out: u64,
        line: &Line,
        is_done: bool,
    ) -> Self {
        let told = line.told("held_by_item").and_then(item_counts::read).unwrap_or_default();
        let mut told = told.into_iter();
        let counts = limited.into_iter().map(|(item, most, more)| {
            let says =
                told.next().filter(|(name, _)| *name == item).map_or(0, |(_, count)| i128::from(count));
            let clamped = |count: i128| u64::try_from(count.max(0)).unwrap_or(u64::MAX);
            let before = clamped(if is_done { says - more } else { says }).min(out);
            ItemCount { item, most, before, after: clamped(i128::from(before) + more) }
        });
        Self(counts.collect())
    }

    /// Whether a limit of one of them would be passed.
    pub(super) fn passes_limit(&self) -> bool {
        self.0.iter().any(|one| one.after > one.before && one.after > one.most)
    }

    /// What a line must say of them that gives or takes them.
    pub(super) fn after(&self) -> Option<String> {
        item_counts::text(self.0.iter().map(|one| (one.item, one.after)))
    }

    /// What a line must say of them that does neither.
    pub(super) fn before(&self) -> Option<String> {
        item_counts::text(self.0.iter().map(|one| (one.item, one.before)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ItemCount<'a>> {
        self.0.iter()
    }
}

//! The model of an order: what a field of an inventory's orders must hold.
//!
//! Pure. Orders are kept only while something of them is reserved; of those that have ended there is the sum over all
//! fields (see [`inventory`](super::inventory)).

use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{CustomerId, InventoryId};
use tollgate::lines::Lines;

/// An order after the lines so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) inventory: InventoryId,
    pub(super) customer: CustomerId,
    /// `reserved`, `sold`, `released`, `expired` or `cancelled`.
    pub(super) state: &'static str,
    /// Of the line that its receipt names.
    pub(super) seq: u64,
    /// Of a reservation.
    pub(super) hold: Option<Hold>,
    pub(super) lines: Vec<OrderLine>,
}

/// What a reservation has beside what a purchase has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) until_ms: u64,
    pub(super) fingerprint: Fingerprint,
}

/// What became of one item of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderLine {
    pub(super) item: Box<str>,
    pub(super) reserved: u64,
    pub(super) sold: u64,
    pub(super) given: u64,
}

impl Order {
    /// An order that was sold at once, or reserved.
    pub(super) fn new(
        (inventory, customer, lines): (&InventoryId, &CustomerId, &Lines),
        seq: u64,
        hold: Option<Hold>,
    ) -> Self {
        let line = |(item, quantity): (&tollgate::ids::ItemId, tollgate::quantity::Quantity)| {
            let (reserved, sold) = if hold.is_some() { (quantity.get(), 0) } else { (0, quantity.get()) };
            OrderLine { item: item.as_str().into(), reserved, sold, given: 0 }
        };
        Self {
            inventory: inventory.clone(),
            customer: customer.clone(),
            state: if hold.is_some() { "reserved" } else { "sold" },
            seq,
            hold,
            lines: lines.iter().map(line).collect(),
        }
    }

    /// What its field must hold.
    pub(super) fn text(&self) -> String {
        let Self { state, seq, hold, customer, lines, .. } = self;
        let (until, fingerprint) = match hold {
            Some(hold) => (hold.until_ms.to_string(), hold.fingerprint.to_string()),
            None => Default::default(),
        };
        let mut text = format!("{state}\t{seq}\t{until}\t{fingerprint}\t{customer}\t");
        for OrderLine { item, reserved, sold, given } in lines {
            let all = reserved + sold + given;
            let by_state = match *state {
                "reserved" => reserved,
                "sold" => sold,
                _ => given,
            };
            text.push_str(&match *by_state == all {
                true => format!("{{{all} {item}}}"),
                false => format!("{{{reserved},{sold},{given} {item}}}"),
            });
        }
        text
    }

    /// How many units are reserved.
    pub(super) fn reserved(&self) -> u64 {
        self.lines.iter().map(|line| line.reserved).sum()
    }

    /// What of it is meant by a job that names some lines, or none for all that is reserved: each line's position and how
    /// many units. `None` if not so much is reserved.
    pub(super) fn meant(&self, lines: Option<&Lines>) -> Option<Vec<(usize, u64)>> {
        let Some(lines) = lines else {
            let reserved = self.lines.iter().enumerate().filter(|(_, line)| line.reserved > 0);
            return Some(reserved.map(|(at, line)| (at, line.reserved)).collect());
        };
        lines
            .iter()
            .map(|(item, quantity)| {
                let at = self.lines.iter().position(|line| &*line.item == item.as_str())?;
                (self.lines[at].reserved >= quantity.get()).then_some((at, quantity.get()))
            })
            .collect()
    }

    /// Why not so much of these lines is reserved, while something else of the order is: the first line that it is of.
    pub(super) fn why_not(&self, lines: &Lines) -> tollgate::code::Code {
        use tollgate::code::Code;
        for (item, quantity) in lines.iter() {
            match self.lines.iter().find(|line| &*line.item == item.as_str()) {
                Some(line) if line.reserved >= quantity.get() => {}
                Some(line) if line.sold >= quantity.get() => return Code::AlreadyCommitted,
                Some(line) if line.given >= quantity.get() => return Code::AlreadyReleased,
                _ => return Code::NotReserved,
            }
        }
        Code::NotReserved
    }
}

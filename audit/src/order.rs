//! The model of an order: what a field of an inventory's orders must hold.
//!
//! Pure. Orders are kept only while something of them is reserved; of those that have ended there is the sum over all
//! fields (see [`inventory`](super::inventory)).

use tollgate::code::Code;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{CustomerId, InventoryId};
use tollgate::lines::Lines;
use tollgate::ticket_ranges;

/// An order after the lines so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) inventory: InventoryId,
    pub(super) customer: CustomerId,
    /// One of [`STATES`].
    pub(super) state: &'static str,
    /// Of the line that its receipt names.
    pub(super) seq: u64,
    /// Of a reservation.
    pub(super) hold: Option<Hold>,
    pub(super) lines: Vec<OrderLine>,
}

/// What may be said of an order as a whole.
const STATES: [&str; 6] = ["reserved", "sold", "released", "expired", "cancelled", "returned"];

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
    pub(super) tickets: Tickets,
}

/// The tickets of a line, where codes are handed out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tickets {
    /// Of what is sold, in the order in which they were handed out: first and last of each range.
    held: Vec<(u64, u64)>,
    void: Vec<(u64, u64)>,
}

impl Tickets {
    fn text(&self) -> String {
        match (&self.held[..], &self.void[..]) {
            ([], []) => String::new(),
            (held, []) => format!("#{}", ticket_ranges::text(held)),
            (held, void) => format!("#{}!{}", ticket_ranges::text(held), ticket_ranges::text(void)),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (held, void) = text.split_once('!').unwrap_or((text, ""));
        Some(Self { held: ticket_ranges::ranges(held)?, void: ticket_ranges::ranges(void)? })
    }

    pub(super) fn add(&mut self, range: Option<(u64, u64)>) {
        self.held.extend(range);
    }

    /// The last ones of so many units become void; answers them, in their order. Fewer, if there are not so many.
    pub(super) fn give_back(&mut self, mut units: u64) -> Vec<(u64, u64)> {
        let mut taken = Vec::new();
        while let (Some((first, last)), 1..) = (self.held.pop(), units) {
            let from = first.max((last + 1).saturating_sub(units));
            taken.insert(0, (from, last));
            units -= last - from + 1;
            if from > first {
                self.held.push((first, from - 1));
                break;
            }
        }
        self.void.extend(&taken);
        taken
    }
}

/// How many units of a line are so.
pub(super) type Part = fn(&OrderLine) -> u64;

impl OrderLine {
    pub(super) const RESERVED: Part = |line| line.reserved;
    pub(super) const SOLD: Part = |line| line.sold;

    fn part_mut(&mut self, is_reserved: bool) -> &mut u64 {
        if is_reserved { &mut self.reserved } else { &mut self.sold }
    }
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
            OrderLine { item: item.as_str().into(), reserved, sold, given: 0, tickets: Tickets::default() }
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
        for OrderLine { item, reserved, sold, given, tickets } in lines {
            let tickets = tickets.text();
            let all = reserved + sold + given;
            let by_state = match *state {
                "reserved" => reserved,
                "sold" => sold,
                _ => given,
            };
            text.push_str(&match *by_state == all {
                true => format!("{{{all}{tickets} {item}}}"),
                false => format!("{{{reserved},{sold},{given}{tickets} {item}}}"),
            });
        }
        text
    }

    /// Reads what a line shows of an order under this inventory as it was: its field, with a space for each TAB. `None`
    /// for what no field holds.
    pub(super) fn was(inventory: &InventoryId, text: &str) -> Option<Self> {
        let mut words = text.splitn(5, ' ');
        let (state, seq, until, fingerprint) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let (customer, lines) = words.next()?.split_once(" {")?;
        let hold = match (until, fingerprint) {
            ("", "") => None,
            _ => Some(Hold { until_ms: until.parse().ok()?, fingerprint: Fingerprint::parse(fingerprint)? }),
        };
        let line = |text: &str| {
            let (numbers, item) = text.split_once(' ')?;
            let (numbers, tickets) = numbers.split_once('#').unwrap_or((numbers, ""));
            let tickets = Tickets::read(tickets)?;
            let numbers: Vec<u64> =
                numbers.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
            let (reserved, sold, given) = match (&numbers[..], state) {
                (&[reserved, sold, given], _) => (reserved, sold, given),
                (&[all], "reserved") => (all, 0, 0),
                (&[all], "sold") => (0, all, 0),
                (&[all], _) => (0, 0, all),
                _ => return None,
            };
            Some(OrderLine { item: item.into(), reserved, sold, given, tickets })
        };
        let order = Self {
            inventory: inventory.clone(),
            customer: CustomerId::parse(customer).ok()?,
            state: STATES.into_iter().find(|known| *known == state)?,
            seq: seq.parse().ok()?,
            hold,
            lines: lines.strip_suffix('}')?.split("}{").map(line).collect::<Option<_>>()?,
        };
        let is_open = order.reserved() > 0;
        let is_one = order.text().replace('\t', " ") == text && is_open == (order.state == "reserved");
        is_one.then_some(order)
    }

    /// How many units are reserved.
    pub(super) fn reserved(&self) -> u64 {
        self.units(OrderLine::RESERVED)
    }

    /// How many units are so: [reserved](OrderLine::RESERVED) or [sold](OrderLine::SOLD).
    pub(super) fn units(&self, part: Part) -> u64 {
        self.lines.iter().map(part).fold(0, u64::saturating_add)
    }

    /// The line of an item.
    pub(super) fn line(&self, item: &str) -> Option<usize> {
        self.lines.iter().position(|line| &*line.item == item)
    }

    /// What of it is meant by a job that names some lines, or none for all that is so (reserved, or sold): each line's
    /// position and how many units. `None` if not so much is.
    pub(super) fn meant(&self, lines: Option<&Lines>, part: Part) -> Option<Vec<(usize, u64)>> {
        let Some(lines) = lines else {
            let all = self.lines.iter().map(part).enumerate().filter(|(_, quantity)| *quantity > 0);
            return Some(all.collect());
        };
        lines
            .iter()
            .map(|(item, quantity)| {
                let at = self.line(item.as_str())?;
                (part(&self.lines[at]) >= quantity.get()).then_some((at, quantity.get()))
            })
            .collect()
    }

    /// These lines by the names of their items.
    pub(super) fn named(&self, meant: &[(usize, u64)]) -> Vec<(&str, u64)> {
        meant.iter().map(|(at, quantity)| (&*self.lines[*at].item, *quantity)).collect()
    }

    /// Why not so much of these lines is reserved, while something else of the order is: the first line that it is of.
    pub(super) fn why_not(&self, lines: &Lines) -> Code {
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

    /// Gives one unit of an item for one of another, with its ticket for the next one where it is sold and has one; answers
    /// what is void by it. A line of which nothing is left is gone, but for one that has void tickets; a new one comes last.
    pub(super) fn exchange(
        &mut self,
        from: &str,
        to: &str,
        is_reserved: bool,
        next: Option<(u64, u64)>,
    ) -> Vec<(u64, u64)> {
        let Some(at) = self.line(from) else { return Vec::new() };
        let next = next.filter(|_| !is_reserved);
        let void = if next.is_some() { self.lines[at].tickets.give_back(1) } else { Vec::new() };
        let count = self.lines[at].part_mut(is_reserved);
        *count = count.saturating_sub(1);
        let OrderLine { reserved, sold, given, ref tickets, .. } = self.lines[at];
        if (reserved, sold, given) == (0, 0, 0) && tickets.void.is_empty() {
            self.lines.remove(at);
        }
        let at = self.line(to).unwrap_or_else(|| {
            self.lines.push(OrderLine {
                item: to.into(),
                reserved: 0,
                sold: 0,
                given: 0,
                tickets: Tickets::default(),
            });
            self.lines.len() - 1
        });
        let count = self.lines[at].part_mut(is_reserved);
        *count = count.saturating_add(1);
        self.lines[at].tickets.add(next);
        void
    }

    /// Why not so much of these lines, or nothing at all, is sold: the first line that it is of.
    pub(super) fn why_not_sold(&self, lines: Option<&Lines>) -> Code {
        let line_of = |item: &str| self.line(item).map(|at| &self.lines[at]);
        let Some(lines) = lines else { return self.why_gone(self.units(|line| line.given), 1) };
        for (item, quantity) in lines.iter() {
            match line_of(item.as_str()) {
                Some(line) if line.sold >= quantity.get() => {}
                Some(line) => return self.why_gone(line.given, quantity.get()),
                None => return Code::NotSold,
            }
        }
        Code::NotSold
    }

    /// Why so many units, of which so many were given back, are not sold.
    pub(super) fn why_gone(&self, given: u64, quantity: u64) -> Code {
        match self.state {
            "expired" => Code::ReservationExpired,
            "cancelled" => Code::InventoryCancelled,
            _ if given < quantity => Code::NotSold,
            "released" => Code::AlreadyReleased,
            _ => Code::AlreadyReturned,
        }
    }
}

//! The rule of `reserve`.

use tollgate::code::Code;
use tollgate::fingerprint::Fingerprint;
use tollgate::journal::Line;
use tollgate::kinds::Reserve;

use super::inventory::Wish;
use super::rule::{Decision, Rule, Weight};
use crate::model::Model;
use crate::order::{Hold, Order};

fn wish(Reserve { inventory, customer, lines, .. }: &Reserve) -> Wish<'_> {
    Wish { inventory, customer, lines, granted: Code::Reserved }
}

impl Rule for Reserve {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        wish(self).decide(model, line)
    }

    fn cancelled(&self, model: &Model, line: &Line) -> Option<Decision> {
        wish(self).cancelled(model, line)
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        if line.code != Code::Reserved {
            return;
        }
        let until_ms = line.at_ms.saturating_add(self.hold_for_ms.get());
        let hold = Some(Hold { until_ms, fingerprint: Fingerprint::of(self) });
        let order = Order::new((&self.inventory, &self.customer, &self.lines), line.seq, hold);
        let wish = wish(self);
        wish.take_over(model, line, &order.text(), weight, |inventory| {
            inventory.reserved = inventory.reserved.saturating_add(self.lines.units());
            inventory.open += 1;
            for (item, quantity) in self.lines.iter() {
                let change = |item: &mut crate::inventory::Item| {
                    item.reserved = item.reserved.saturating_add(quantity.get());
                };
                inventory.items.iter_mut().for_each(|items| items.change(item.as_str(), weight, change));
            }
        });
        model.reservations.insert(line.id.clone(), order);
    }
}

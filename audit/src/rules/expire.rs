//! The rule of `expire`: nothing ends before its time, by what the step says of the time and by the time of its line; but
//! of an inventory that was cancelled everything does.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Expire;

use super::reservation::{Move, Moves};
use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

/// The code and what is moved.
fn end_of(Expire { inventory, .. }: &Expire, model: &Model) -> (Code, Moves) {
    match model.inventories.get(inventory) {
        Some(inventory) if inventory.is_cancelled() => {
            (Code::InventoryCancelled, Moves::GivenBack("cancelled"))
        }
        _ => (Code::ReservationExpired, Moves::GivenBack("expired")),
    }
}

fn of<'a>(Expire { inventory, .. }: &'a Expire, line: &Line, granted: Code) -> Move<'a> {
    Move { inventory, reservation: line.id.clone(), lines: None, granted, sells: false }
}

impl Rule for Expire {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        let (granted, moves) = end_of(self, model);
        let hold = model.reservations.get(&line.id).and_then(|order| order.hold);
        let decision = of(self, line, granted).decide(model, line, Some(moves))?;
        let as_of_ms = self.as_of_ms.min(line.at_ms);
        let is_over =
            hold.is_some_and(|hold| hold.until_ms <= as_of_ms || granted == Code::InventoryCancelled);
        Some(if is_over { decision } else { Decision { code: Code::ReservationNotOpen, ..decision } })
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        let (granted, moves) = end_of(self, model);
        if let Some(order) = model.reservations.get_mut(&line.id)
            && line.code == granted
        {
            // Its receipt names this line from now on.
            let before = order.text();
            order.seq = line.seq;
            let (after, inventory) = (order.text(), order.inventory.clone());
            if let Some(inventory) = model.inventories.get_mut(&inventory) {
                inventory.change_order(line.id.as_str(), &before, &after, weight);
            }
        }
        of(self, line, granted).take_over(model, line, moves, weight);
    }
}

//! The rule of `extend`.

use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::journal::Line;
use tollgate::kinds::Extend;

use super::reservation::{Move, change};
use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

fn of(Extend { inventory, reservation, .. }: &Extend) -> Move<'_> {
    let reservation = reservation.clone().into();
    Move { inventory, reservation, lines: None, granted: Code::Extended, sells: true }
}

impl Rule for Extend {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        of(self).decide(model, line, None)
    }

    fn cancelled(&self, model: &Model, line: &Line) -> Option<Decision> {
        of(self).cancelled(model, line)
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        if line.code != Code::Extended {
            return;
        }
        let id = JobId::from(self.reservation.clone());
        let Some(mut order) = model.reservations.remove(&id) else { return };
        model.changed_inventory(&self.inventory, line);
        let before = order.text();
        if let Some(hold) = &mut order.hold {
            hold.until_ms = hold.until_ms.max(line.at_ms.saturating_add(self.hold_for_ms.get()));
        }
        change(model, &id, order, &before, weight);
    }
}

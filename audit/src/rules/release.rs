//! The rule of `release`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Release;

use super::reservation::{Move, Moves};
use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

const MOVES: Moves = Moves::GivenBack("released");

fn of(Release { inventory, reservation, lines }: &Release) -> Move<'_> {
    Move {
        inventory,
        reservation: reservation.clone().into(),
        lines: lines.as_ref(),
        granted: Code::Released,
        sells: false,
    }
}

impl Rule for Release {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        of(self).decide(model, line, Some(MOVES))
    }

    fn cancelled(&self, model: &Model, line: &Line) -> Option<Decision> {
        of(self).cancelled(model, line)
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        of(self).take_over(model, line, MOVES, weight);
    }
}

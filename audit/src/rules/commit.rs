//! The rule of `commit`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Commit;

use super::reservation::{Move, Moves};
use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

const MOVES: Moves = Moves::Sold;

fn of(Commit { inventory, reservation, lines }: &Commit) -> Move<'_> {
    Move {
        inventory,
        reservation: reservation.clone().into(),
        lines: lines.as_ref(),
        granted: Code::Committed,
        sells: true,
    }
}

impl Rule for Commit {
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

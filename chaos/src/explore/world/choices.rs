//! What can happen next in an order.

use super::World;
use crate::explore::bound::Bound;
use crate::explore::call::Nature;
use crate::explore::members::consumer;
use crate::explore::state::Just;
use crate::explore::step::{Call, Choice, Step};

impl World<'_, '_> {
    /// All that can happen next within what is left. Empty when nothing is left to do.
    ///
    /// Of steps whose order makes no difference, one order is walked:
    /// - What touches nothing but one process (a death, a break, a call that does not run now) comes right after a step
    ///   of that process: nobody else sees it, and nothing of that process runs in between.
    /// - Redis forgets its scripts right before a call of a script: no other call can tell.
    /// - Of workers that have not begun, the first begins: they differ in nothing but their names.
    pub(in crate::explore) fn choices(&self) -> Vec<Choice> {
        let mut runs = Vec::new();
        let mut others = Vec::new();
        let last = self.state.last;
        let last_can_go_on = last.is_some_and(|last| self.can_go_on(last));
        let is_flushed = self.state.just == Just::Flushed;
        let mut a_worker_waits_to_begin = false;
        for (name, place, member) in &self.state.members {
            let (name, Some(member)) = (*name, *member) else { continue };
            let (is_worker, has_begun) = (self.is_worker(*place), !self.memo.has_not_begun(name, member));
            if is_worker && !has_begun && std::mem::replace(&mut a_worker_waits_to_begin, true) {
                continue;
            }
            let went_on = last == Some(name) && self.state.just == Just::WentOn;
            let preempts = last_can_go_on && last != Some(name);
            for (call, nature) in self.enabled(name) {
                if is_flushed && !self.is_of_script(call) {
                    continue;
                }
                let mut cost =
                    Bound { preemptions: u8::from(preempts && !nature.is_poll()), ..Bound::default() };
                match nature {
                    Nature::Recover => cost.takeovers = u8::from(self.takes_from_the_living(name)),
                    Nature::Look => cost.looks = 1,
                    _ => {}
                }
                runs.push(Choice { step: Step::Run(call), cost });
                let cost = Bound { faults: 1, ..cost };
                if nature != Nature::Read {
                    others.push(Choice { step: Step::LoseReply(call), cost });
                }
                // These may come to something only later, by what others do.
                let looks_for_work = matches!(nature, Nature::Wait | Nature::Take) || nature.is_poll();
                if is_flushed || (!looks_for_work && has_begun && !went_on) {
                    continue;
                }
                others.push(Choice { step: Step::LeaveOut(call), cost });
                if nature != Nature::Read {
                    others.push(Choice { step: Step::Delay(call), cost });
                    if is_worker && !nature.is_poll() {
                        let cost = Bound { deaths: 1, faults: 1, ..Bound::default() };
                        others.push(Choice { step: Step::DieSending(call), cost });
                    }
                }
            }
            if went_on {
                others.push(Choice { step: Step::Drop(name), cost: Bound { faults: 1, ..Bound::default() } });
                if is_worker {
                    others.push(Choice {
                        step: Step::Die(name),
                        cost: Bound { deaths: 1, ..Bound::default() },
                    });
                }
            }
        }
        let late = self.state.late.iter().filter(|(_, asked)| !is_flushed || self.memo.is_of_script(*asked));
        runs.extend(late.map(|(call, _)| Choice { step: Step::Arrive(*call), cost: Bound::default() }));
        if self.memo.scenario.tick_ms > 0 && !is_flushed {
            runs.push(Choice { step: Step::Tick, cost: Bound { ticks: 1, ..Bound::default() } });
        }
        let is_costly = self.state.loaded != Some(0) && self.scripts_may_be_called();
        runs.iter_mut().for_each(|choice| choice.cost = choice.cost.summed());
        others.iter_mut().for_each(|choice| choice.cost = choice.cost.summed());
        runs.retain(|choice| self.left.covers(choice.cost));
        if runs.is_empty() {
            return runs;
        }
        if is_costly {
            others
                .push(Choice { step: Step::Flush, cost: Bound { flushes: 1, ..Bound::default() }.summed() });
        }
        others.retain(|choice| self.left.covers(choice.cost));
        runs.extend(others);
        runs
    }

    fn is_of_script(&self, call: Call) -> bool {
        self.asked(call).is_ok_and(|asked| self.memo.is_of_script(asked))
    }

    /// Whether there is a call that could tell that the scripts are gone.
    fn scripts_may_be_called(&self) -> bool {
        let mut enabled = self.state.members.iter().flat_map(|(name, ..)| self.enabled(*name));
        enabled.any(|(call, _)| self.is_of_script(call))
            || self.state.late.iter().any(|(_, asked)| self.memo.is_of_script(*asked))
    }

    /// Whether it has a call that is no agent's poll and can come to something.
    fn can_go_on(&self, name: char) -> bool {
        self.enabled(name).any(|(_, nature)| !nature.is_poll())
    }

    /// The calls that can come to something.
    pub(super) fn enabled(&self, name: char) -> impl Iterator<Item = (Call, Nature)> + '_ {
        let consumer = consumer(name);
        self.calls(name).filter(move |(_, nature)| nature.is_enabled(self.look(), &consumer))
    }

    /// Whether a recovery would take something over, and from nobody who is dead.
    fn takes_from_the_living(&self, taker: char) -> bool {
        let taker = consumer(taker);
        let is_dead = |holder: &str| {
            let mut dead = self.state.members.iter().filter(|(.., member)| member.is_none());
            dead.any(|(name, ..)| consumer(*name) == holder)
        };
        let mut others = self.look().holders.iter().filter(|holder| **holder != taker).peekable();
        others.peek().is_some() && !others.any(|holder| is_dead(holder))
    }
}

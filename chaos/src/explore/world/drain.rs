//! The end of an order: nothing goes wrong any more, and all that was accepted comes to its end.

use super::World;
use crate::explore::call::Nature;
use crate::explore::step::{Call, Step};

/// Steps that a drain may take: many times what any here needs.
const DRAIN_STEPS_MAX: usize = 300;
/// How often the clock is stepped for what is still open.
const DRAIN_TICKS_MAX: usize = 6;

impl World<'_, '_> {
    /// What nobody stops any more: what is late arrives, who died is started again, and all go on until nothing is left
    /// to do. Answers what is still undone in the end.
    pub(in crate::explore) fn drain(&mut self) -> anyhow::Result<Option<String>> {
        let (mut ticks, mut gave_time, mut idle) = (0, false, false);
        while let Some((call, _)) = self.state.late.first() {
            self.make(Step::Arrive(*call))?;
        }
        for (name, place, member) in self.state.members.clone() {
            if member.is_some() {
                continue;
            }
            self.say(name, || "is started again".to_owned());
            let next = char::from_u32(u32::from(name) + 8).unwrap_or('Z');
            self.state.members.retain(|(other, ..)| *other != name);
            self.start(next, place)?;
            if let Some(timeline) = &mut self.timeline {
                timeline.rename(name, next);
            }
        }
        for _ in 0..DRAIN_STEPS_MAX {
            let next = |polls: bool| {
                let mut enabled = self.state.members.iter().flat_map(|(name, ..)| self.enabled(*name));
                enabled.find(|(_, nature)| nature.is_poll() == polls)
            };
            if let Some((call, nature)) = next(false).or_else(|| next(true)) {
                // A look for payouts that are under way finds them again and again.
                let is_look = nature == Nature::Look;
                if !(is_look && gave_time) {
                    // A worker whose wait has ended looks whether anything has come.
                    idle &= nature.is_poll() || nature == Nature::Read;
                    self.make(Step::Run(call))?;
                    gave_time = is_look;
                    continue;
                }
            }
            gave_time = false;
            let look = self.look();
            if look.holders.is_empty() && !look.is_open && !look.waits {
                return Ok(None);
            }
            // Time goes by: every agent looks, and every read that blocks ends.
            if !idle {
                idle = true;
                self.poll_all()?;
                self.end_blocking_reads()?;
                continue;
            }
            idle = false;
            if ticks == DRAIN_TICKS_MAX {
                break;
            }
            ticks += 1;
            let ms = self.memo.scenario.tick_ms.max(10_000);
            self.state.database = self.memo.later(self.state.database, ms)?;
        }
        let held = if self.look().holders.is_empty() { "" } else { "entries are still in flight; " };
        Ok(Some(format!("it does not come to an end: {held}what waits: {}", self.what_waits())))
    }

    /// Every agent makes the call that it waits for.
    fn poll_all(&mut self) -> anyhow::Result<()> {
        for call in self.all_calls(Nature::is_poll) {
            self.make(Step::Run(call))?;
        }
        Ok(())
    }

    /// Every read that blocks ends, with nothing.
    fn end_blocking_reads(&mut self) -> anyhow::Result<()> {
        for call in self.all_calls(|nature| nature == Nature::Wait) {
            self.make(Step::Run(call))?;
        }
        Ok(())
    }

    fn all_calls(&self, of: impl Fn(Nature) -> bool) -> Vec<Call> {
        let all = self.state.members.iter().flat_map(|(name, ..)| self.calls(*name));
        all.filter(|(_, nature)| of(*nature)).map(|(call, _)| call).collect()
    }
}

//! The end of an order: nothing goes wrong any more, and all that was accepted comes to its end.

use super::World;
use crate::explore::call::Nature;
use crate::explore::scenario::Role;
use crate::explore::step::{Call, Step};

/// Steps that a drain may take: many times what any here needs.
const DRAIN_STEPS_MAX: usize = 300;
/// How often the clock is stepped for what is still open.
const DRAIN_TICKS_MAX: usize = 6;

impl<'a> World<'a> {
    /// What nobody stops any more: what is late arrives, who died is started again, and all go on until nothing is left
    /// to do. Answers what is still undone in the end.
    pub(in crate::explore) fn drain(&mut self) -> anyhow::Result<Option<String>> {
        let (mut ticks, mut gave_time, mut idle) = (0, false, false);
        while let Some((call, _)) = self.late.first() {
            self.make(Step::Arrive(*call))?;
        }
        let dead: Vec<(char, &'a Role)> = self
            .processes
            .iter()
            .filter(|(.., process)| !process.lives())
            .map(|(name, role, _)| (*name, *role))
            .collect();
        for (name, role) in dead {
            self.drawing.add(name, "is started again".to_owned());
            let next = char::from_u32(u32::from(name) + 8).unwrap_or('Z');
            self.start(next, role)?;
            self.drawing.rename(name, next);
        }
        for _ in 0..DRAIN_STEPS_MAX {
            let look = self.ground.look()?;
            let mut next = None;
            for name in self.names() {
                for (no, nature) in self.enabled(name, &look) {
                    if next.is_none_or(|(_, poll)| poll && !nature.is_poll()) {
                        next = Some((Call { process: name, no }, nature.is_poll()));
                    }
                }
            }
            if let Some((call, is_poll)) = next {
                // A look for payouts that are under way finds them again and again.
                let nature = Nature::of(&self.asked(call)?);
                let is_look = nature == Nature::Look;
                if !(is_look && gave_time) {
                    // A worker whose wait has ended looks whether anything has come.
                    idle &= is_poll || nature == Nature::Read;
                    self.make(Step::Run(call))?;
                    gave_time = is_look;
                    continue;
                }
            }
            gave_time = false;
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
            self.ground.clock.step(self.scenario.tick_ms.max(10_000))?;
        }
        let look = self.ground.look()?;
        let held = if look.holders.is_empty() { "" } else { "entries are still in flight; " };
        Ok(Some(format!("it does not come to an end: {held}what waits: {}", self.what_waits())))
    }

    /// Every agent makes the call that it waits for.
    fn poll_all(&mut self) -> anyhow::Result<()> {
        for name in self.names() {
            for (no, nature) in self.calls(name) {
                if nature.is_poll() {
                    self.make(Step::Run(Call { process: name, no }))?;
                }
            }
        }
        Ok(())
    }

    /// Every read that blocks ends, with nothing.
    fn end_blocking_reads(&mut self) -> anyhow::Result<()> {
        for name in self.names() {
            for (no, nature) in self.calls(name) {
                if nature == Nature::Wait {
                    self.make(Step::Run(Call { process: name, no }))?;
                }
            }
        }
        Ok(())
    }

    fn names(&self) -> Vec<char> {
        self.processes.iter().filter(|(.., process)| process.lives()).map(|(name, ..)| *name).collect()
    }
}

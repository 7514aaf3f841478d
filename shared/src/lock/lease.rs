//! The time for which a lock is held: what the guarded work sees of it.
//!
//! Runs on the monotonic clock of this process and on nothing else. A lease that has ended never comes back to
//! life, even if an extension is granted later: somebody may have been told already that it had ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::error::{Lost, LostCause, NotGranted};
use super::quorum::cancel_margin;
use crate::protocol::ids::LockName;

/// The right to work for a while. A view: cheap to clone; it ends with its [`HeldLock`](super::HeldLock).
///
/// What it cannot see: a process that was stopped between a check and the effect after it.
#[derive(Debug, Clone)]
pub struct Lease {
    term: Arc<Term>,
}

impl Lease {
    /// One that began at `began_at`, was granted until `granted_until`, and ends after `max_hold` in any case.
    pub(super) fn new(
        name: LockName,
        ttl: Duration,
        (began_at, granted_until): (Instant, Instant),
        max_hold: Option<Duration>,
    ) -> Self {
        // A sum that is beyond the clock is no bound.
        let ends = max_hold.and_then(|max_hold| Some((began_at.checked_add(max_hold)?, max_hold)));
        let valid_until = ends.map_or(granted_until, |(ends_at, _)| granted_until.min(ends_at));
        let state = State { valid_until, lost: None, trouble: None };
        let margin = cancel_margin(ttl);
        Self { term: Arc::new(Term { name, margin, ends, state: watch::Sender::new(state) }) }
    }

    /// The lock it belongs to.
    pub fn name(&self) -> &LockName {
        &self.term.name
    }

    /// Until when nobody else can have the lock, by this process's monotonic clock, as far as is known now:
    /// each extension moves it. In the past if the lease has ended.
    pub fn valid_until(&self) -> Instant {
        self.term.state.borrow().valid_until
    }

    /// When the work is cancelled unless an extension comes first: a little before [`Lease::valid_until`].
    /// An outside request carries a deadline no later than this.
    pub fn deadline(&self) -> Instant {
        self.valid_until() - self.term.margin
    }

    /// How long until [`Lease::deadline`]; zero if the lease has ended.
    pub fn remaining(&self) -> Duration {
        match self.check() {
            Ok(()) => self.deadline().saturating_duration_since(Instant::now()),
            Err(_) => Duration::ZERO,
        }
    }

    /// Is it still ours? To ask right before an effect that cannot be taken back.
    ///
    /// # Errors
    /// It has ended, or is about to: within the margin that cancelling takes.
    pub fn check(&self) -> Result<(), Lost> {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Result<(), Lost> {
        let mut result = Ok(());
        self.term.state.send_if_modified(|state| {
            let before = state.lost.is_some();
            result = state.look(now, &self.term);
            state.lost.is_some() != before
        });
        result.map_err(|cause| self.lost_by(cause))
    }

    /// Waits until it has ended, for work that cancels itself.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost by dropping it.
    pub async fn lost(&self) -> Lost {
        let mut changes = self.term.state.subscribe();
        loop {
            if let Err(lost) = self.check() {
                return lost;
            }
            tokio::select! {
                () = sleep_until(self.deadline().into()) => {}
                // The sender lives in `self`, so this only ends with a change.
                _ = changes.changed() => {}
            }
        }
    }

    /// Did work that has just finished finish within the validity?
    pub(super) fn covered(&self, now: Instant) -> Result<(), Lost> {
        let state = self.term.state.borrow();
        match &state.lost {
            // Cancelled too early rather than too late: finished before the end is finished in time.
            None | Some(LostCause::Ended(_) | LostCause::HeldTooLong(_)) if now < state.valid_until => Ok(()),
            Some(cause) => Err(self.lost_by(cause.clone())),
            None => Err(self.lost_by(self.term.cause(state.valid_until, state.trouble.clone()))),
        }
    }

    /// Takes note of a granted extension, unless the lease has ended before.
    pub(super) fn extended(&self, now: Instant, valid_until: Instant) -> Result<(), Lost> {
        self.at(now)?;
        self.term.state.send_modify(|state| {
            let valid_until = self.term.ends.map_or(valid_until, |(ends_at, _)| valid_until.min(ends_at));
            state.valid_until = state.valid_until.max(valid_until);
            state.trouble = None;
        });
        Ok(())
    }

    /// Remembers what an extension failed on; it is told if the lease ends by that.
    pub(super) fn troubled(&self, against: NotGranted) {
        self.term.state.send_if_modified(|state| {
            state.trouble = Some(against);
            false
        });
    }

    /// Ends it now. The first cause stays.
    pub(super) fn end(&self, cause: LostCause) -> Lost {
        let mut first = cause;
        self.term.state.send_modify(|state| first = state.lost.get_or_insert_with(|| first.clone()).clone());
        self.lost_by(first)
    }

    fn lost_by(&self, cause: LostCause) -> Lost {
        Lost { name: self.term.name.clone(), cause }
    }
}

#[derive(Debug)]
struct Term {
    name: LockName,
    margin: Duration,
    /// When it ends whoever extends it, and after how long that is.
    ends: Option<(Instant, Duration)>,
    state: watch::Sender<State>,
}

impl Term {
    /// Why a lease ends that was valid until then.
    fn cause(&self, valid_until: Instant, trouble: Option<NotGranted>) -> LostCause {
        match self.ends {
            Some((ends_at, max_hold)) if valid_until >= ends_at => LostCause::HeldTooLong(max_hold),
            _ => LostCause::Ended(trouble),
        }
    }
}

#[derive(Debug)]
struct State {
    valid_until: Instant,
    lost: Option<LostCause>,
    trouble: Option<NotGranted>,
}

impl State {
    fn look(&mut self, now: Instant, term: &Term) -> Result<(), LostCause> {
        if self.lost.is_none() && now + term.margin >= self.valid_until {
            self.lost = Some(term.cause(self.valid_until, self.trouble.take()));
        }
        self.lost.clone().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn lease(ttl: Duration, now: Instant) -> Lease {
        Lease::new(LockName::parse("x").unwrap(), ttl, (now, now + ttl), None)
    }

    #[test]
    fn it_ends_after_its_longest_time_whoever_extends_it() {
        let now = Instant::now();
        let name = LockName::parse("x").unwrap();
        let lease = Lease::new(name, ms(1_000), (now, now + ms(1_000)), Some(ms(2_500)));
        lease.extended(now + ms(900), now + ms(1_900)).unwrap();
        assert_eq!(lease.valid_until(), now + ms(1_900));
        lease.extended(now + ms(1_800), now + ms(2_800)).unwrap();
        assert_eq!(lease.valid_until(), now + ms(2_500));
        let lost = lease.at(now + ms(2_450)).unwrap_err();
        assert_eq!(lost.cause, LostCause::HeldTooLong(ms(2_500)));
        lease.covered(now + ms(2_499)).unwrap();
        lease.covered(now + ms(2_500)).unwrap_err();
    }

    #[test]
    fn it_ends_a_margin_before_its_validity_and_stays_ended() {
        let now = Instant::now();
        let ttl = ms(1_000);
        let lease = lease(ttl, now);
        assert_eq!(lease.deadline(), now + ms(950));
        lease.at(now + ms(949)).unwrap();
        lease.extended(now + ms(949), now + ms(1_500)).unwrap();
        lease.at(now + ms(1_449)).unwrap();
        let lost = lease.at(now + ms(1_450)).unwrap_err();
        assert_eq!(lost.cause, LostCause::Ended(None));
        // Granted, but too late: what was said stays true.
        assert_eq!(lease.extended(now + ms(1_451), now + ms(9_000)).unwrap_err(), lost);
        assert_eq!(lease.valid_until(), now + ms(1_500));
        assert_eq!(lease.remaining(), Duration::ZERO);
    }

    #[test]
    fn work_that_ends_within_the_margin_is_covered_and_later_is_not() {
        let now = Instant::now();
        let lease = lease(ms(1_000), now);
        lease.at(now + ms(960)).unwrap_err();
        lease.covered(now + ms(999)).unwrap();
        lease.covered(now + ms(1_000)).unwrap_err();
        let gone = self::lease(ms(1_000), now);
        gone.end(LostCause::Gone(NotGranted::default()));
        gone.covered(now + ms(1)).unwrap_err();
    }

    #[test]
    fn an_older_extension_does_not_shorten_a_newer_one() {
        let now = Instant::now();
        let lease = lease(ms(1_000), now);
        lease.extended(now, now + ms(3_000)).unwrap();
        lease.extended(now, now + ms(2_000)).unwrap();
        assert_eq!(lease.valid_until(), now + ms(3_000));
    }

    #[test]
    fn the_first_cause_stays() {
        let now = Instant::now();
        let lease = lease(ms(1_000), now);
        lease.end(LostCause::Released);
        assert_eq!(lease.end(LostCause::Ended(None)).cause, LostCause::Released);
        assert_eq!(lease.check().unwrap_err().cause, LostCause::Released);
    }
}

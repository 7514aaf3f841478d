//! A lock that is held: kept alive in the background, shown, guarded by, extended, given back.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use super::error::{LockError, Lost, LostCause, NotGranted, WorkError};
use super::lease::Lease;
use super::options::{LockOptions, Renewal};
use super::queue::Place;
use super::quorum::{QuorumResult, renew_at, valid_until};
use super::quorum_attempt::{Extender, QuorumAttempt, Round};
use crate::random;

/// A lock that this process holds. Not re-entrant: a second acquire of the same name finds it taken.
///
/// Dropped, it ends its [`Lease`] at once and is given back in the background; if the process dies instead, the
/// TTL ends it.
#[derive(Debug)]
#[must_use = "dropped, it is given back at once"]
pub struct HeldLock {
    lease: Lease,
    extension: Extension,
    renewal: Option<AbortHandle>,
    /// `None` once it is given back.
    quorum_attempt: Option<QuorumAttempt>,
}

impl HeldLock {
    pub(super) fn new(
        mut quorum_attempt: QuorumAttempt,
        place: Place,
        lease: Lease,
        options: &LockOptions,
        sent_at: Instant,
    ) -> Self {
        quorum_attempt.hold_place(place);
        let extension =
            Extension { extender: quorum_attempt.extender(), lease: lease.clone(), ttl: options.ttl };
        let renewal = match options.renewal {
            Renewal::Background => {
                Some(tokio::spawn(renew(extension.clone(), renew_at(sent_at, options.ttl))).abort_handle())
            }
            Renewal::ByHand => None,
        };
        Self { lease, extension, renewal, quorum_attempt: Some(quorum_attempt) }
    }

    /// A view of until when it is held, to pass to whatever needs it.
    pub fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// On how many nodes it stands, and of how many, as each said last. A quorum is enough to hold it; a node that has
    /// lost it is taken again at an extension, as soon as it answers.
    pub fn stands_on(&self) -> (usize, usize) {
        (self.extension.extender.stands_on(), self.extension.extender.nodes())
    }

    /// Does `work` as long as the lock is held, and drops it before the validity ends. Work that never yields, or
    /// that runs on in tasks and threads of its own, cannot be dropped: it asks [`Lease::check`].
    ///
    /// # Errors
    /// [`WorkError::Work`]: the work's own, while the lock was held. [`LockError::Lost`]: the work was cancelled.
    /// [`LockError::Overran`]: it finished, but too late; what it answered is dropped, so what must survive has to be
    /// stored by the work itself.
    ///
    /// # Cancel safety
    /// Dropping it drops `work` and leaves the lock held.
    pub async fn guard<T, E, W>(&self, work: W) -> Result<T, WorkError<E>>
    where
        W: Future<Output = Result<T, E>>,
    {
        let mut work = pin!(work);
        let mut lost = pin!(self.lease.lost());
        poll_fn(|context| {
            // The clock itself first, since a timer may fire late: work is not even begun without a lease.
            if let Err(lost) = self.lease.check() {
                return Poll::Ready(Err(LockError::from(lost).into()));
            }
            if let Poll::Ready(lost) = lost.as_mut().poll(context) {
                return Poll::Ready(Err(LockError::from(lost).into()));
            }
            let value = std::task::ready!(work.as_mut().poll(context));
            if let Err(lost) = self.lease.covered(Instant::now()) {
                return Poll::Ready(Err(LockError::Overran(lost).into()));
            }
            Poll::Ready(value.map_err(WorkError::Work))
        })
        .await
    }

    /// Extends it by another TTL from now, under the rules of acquiring it, and answers until when it is valid.
    /// With a quorum it also takes it again, in the background, on nodes that have lost it; without one it never
    /// does. Not needed with [`Renewal::Background`].
    ///
    /// # Errors
    /// [`LockError::Lost`]: it has ended, for good. [`LockError::NotExtended`]: it was not extended on a quorum; the
    /// validity of before stays, try again.
    ///
    /// # Cancel safety
    /// It may be extended on the nodes; the lease does not know and ends earlier.
    pub async fn extend(&self) -> Result<Instant, LockError> {
        self.extension.extend().await
    }

    /// Gives it back, and waits for a quorum of nodes to have heard it, for up to the time-out per node. Nodes that do
    /// not hear it are not an error: they are told again in the background until the TTL is over (see
    /// [`Locks::finish`](super::Locks::finish) for the end of `main`).
    ///
    /// # Errors
    /// The lease had ended before: what was done since the last [`Lease::check`] may not have been alone.
    ///
    /// # Cancel safety
    /// It is given back in the background.
    pub async fn release(mut self) -> Result<(), Lost> {
        let held = self.lease.covered(Instant::now());
        self.end();
        if let Some(quorum_attempt) = self.quorum_attempt.take() {
            quorum_attempt.release().await;
        }
        held
    }

    fn end(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            renewal.abort();
        }
        self.lease.end(LostCause::Released);
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        self.end();
        // The attempt gives itself back.
    }
}

/// Everything an extension needs.
#[derive(Debug, Clone)]
struct Extension {
    extender: Extender,
    lease: Lease,
    ttl: Duration,
}

impl Extension {
    async fn extend(&self) -> Result<Instant, LockError> {
        self.lease.check()?;
        let Round { tally, sent_at } = self.extender.extend().await;
        let against = NotGranted::of(&tally, self.extender.names());
        match tally.standing() {
            QuorumResult::Ours => {
                self.lease.extended(Instant::now(), valid_until(sent_at, self.ttl))?;
                // An answer that took longer than what it grants has gained nothing.
                self.lease.check()?;
                // A quorum keeps our token and the lease is valid: nobody else can hold it anywhere. See
                // `NodeAttempt::take_again`.
                self.extender.repair(&tally, &self.lease);
                Ok(self.lease.valid_until())
            }
            // Another may have it: there is nothing to wait for.
            QuorumResult::NotOurs => Err(self.lease.end(LostCause::Gone(against)).into()),
            QuorumResult::Broken | QuorumResult::Split | QuorumResult::Open => {
                self.lease.troubled(against.clone());
                Err(LockError::NotExtended { name: self.lease.name().clone(), against })
            }
        }
    }
}

/// Extends every third of the TTL. After a failure it tries again soon, as often as the validity allows.
async fn renew(extension: Extension, first_at: Instant) {
    let Extension { lease, ttl, .. } = &extension;
    let mut next_at = first_at;
    loop {
        tokio::select! {
            () = sleep_until(next_at.into()) => {}
            _ = lease.lost() => return,
        }
        let sent_at = Instant::now();
        next_at = match extension.extend().await {
            Ok(_) => renew_at(sent_at, *ttl),
            Err(error @ LockError::Lost(_)) => {
                tracing::debug!(lock = %lease.name(), %error, "the lease has ended");
                return;
            }
            Err(error) => {
                tracing::debug!(lock = %lease.name(), %error, "not extended yet");
                Instant::now() + random::in_range(*ttl / 40..=*ttl / 20)
            }
        };
    }
}

//! Links to the data Redis for payouts, each used for one step at a time.
//!
//! A payout holds none while its request is at the gateway: with as many permits as a slow gateway needs, all of the
//! pool's connections would wait there, and the one-step jobs of this worker for them. The links that are kept are
//! not asked `PING` before each use, as the pool would: every step may be made twice, and a link whose connection
//! broke opens another.

use std::sync::{Mutex, PoisonError};

use tollgate::connect::Server;
use tollgate::failure::Failure;
use tollgate::link::Link;

/// Links that are kept: about as many steps as are under way at the same moment. More come from the pool.
const IDLE_MAX: usize = 8;

pub(crate) struct Links {
    server: Server,
    idle: Mutex<Vec<Link>>,
}

impl Links {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, idle: Mutex::default() }
    }

    /// A link for one step. Dropped instead of [`Links::put_back`], it goes back to the pool.
    ///
    /// # Errors
    /// Always [`Failure::NotApplied`]: nothing was sent.
    pub(crate) async fn take(&self) -> Result<Link, Failure> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(link) => Ok(link),
            None => self.server.link().await,
        }
    }

    /// Keeps a link whose last call was answered.
    pub(crate) fn put_back(&self, link: Link) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(link);
        }
    }
}

//! Who has the lock of an account, behind which its payouts wait: read from the lock servers, beside a payout.
//!
//! Relies on the servers being named here as they are to the workers (`TOLLGATE_LOCK_URLS`). Reads only.

use std::fmt;

use serde::Serialize;
use tollgate::env;
use tollgate::ids::{AccountId, LockName};
use tollgate::instant::Instant;
use tollgate::lock::{LockNodes, Locks, Look, Placement};

use crate::context::Context;

/// The lock as `--json` shows it; instants in milliseconds since the Unix epoch.
#[derive(Debug, Serialize)]
pub(super) struct LockView {
    /// `None`: nobody has it on a majority.
    owner: Option<String>,
    since_ms: Option<u64>,
    until_ms: Option<u64>,
    servers: usize,
    answering: usize,
    /// The same in words, with what each server fails on.
    detail: String,
    #[serde(skip)]
    placement: Placement,
}

impl LockView {
    fn of(look: &Look, placement: Placement, now: Instant) -> Self {
        let holder = look.holder();
        let until = |left: std::time::Duration| {
            now.ms().saturating_add(left.as_millis().try_into().unwrap_or(u64::MAX))
        };
        Self {
            owner: holder.map(|(owner, _)| owner.to_owned()),
            since_ms: look.held_since().map(Instant::ms),
            until_ms: holder.map(|(_, left)| until(left)),
            servers: look.nodes.len(),
            answering: look.answering(),
            detail: look.to_string(),
            placement,
        }
    }
}

/// `the account's lock is held by w-1 since … for at most 3.2s more; 3 of 3 nodes answer`
impl fmt::Display for LockView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.placement {
            Placement::Apart => "",
            Placement::WithData => ", on the data Redis (no TOLLGATE_LOCK_URLS here)",
        };
        write!(f, "the account's lock{place}: {}", self.detail)
    }
}

/// Asks the lock servers.
pub(super) async fn look(context: &Context, account: &AccountId) -> anyhow::Result<LockView> {
    let urls = LockNodes::urls_from_env();
    let nodes = if urls.is_empty() {
        LockNodes::with_data(context.server().await?)
    } else {
        let password_file = env::path(env::TOLLGATE_LOCK_PASSWORD_FILE);
        LockNodes::open_with_password_file(
            &urls,
            context.redis().ca_file.as_deref(),
            password_file.as_deref(),
        )
        .map_err(|error| anyhow::anyhow!("TOLLGATE_LOCK_URLS: {error}"))?
    };
    // Whether a server is fit for locks is for those who take them; here it is only read.
    let nodes = nodes.allow_unfit();
    let placement = nodes.placement();
    let look = Locks::new(nodes, context.namespace().clone()).look(&LockName::payouts(account)).await;
    Ok(LockView::of(&look, placement, Instant::now()))
}

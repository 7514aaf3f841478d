//! Who knows best: several are asked at once, and of more than half of them, or of all that answer, the latest
//! configuration counts, so that one that was cut off during a failover sends nobody to the old master.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisError};

use super::hung_up::{HUNG_UP, is_hung_up};
use crate::connection::classify::classify_connect;
use crate::connection::failure::{Failure, Refusal};

/// How long one of them may take to answer, connecting included; the others are asked meanwhile.
const WITHIN: Duration = Duration::from_secs(1);

/// What one of them says.
pub(super) trait Answer {
    /// Of which configuration: the higher, the later.
    fn epoch(&self) -> u64;
}

/// Nobody says so.
pub(super) struct Silent {
    /// Where each is, and what it says instead.
    pub(super) said: String,
    /// What keeps one of them from saying so that does not pass by itself, if anything.
    pub(super) reason: Refusal,
}

/// Waits for what all of these say, each with where it is asked; answers what is of the latest configuration, or what
/// each of them says instead. `is_tls`: they are asked by TLS.
///
/// # Cancel safety
/// Reads only, as far as what is asked does.
pub(super) async fn latest<T: Answer, F>(asked: Vec<(String, F)>, is_tls: bool) -> Result<T, Silent>
where
    F: Future<Output = Result<Result<T, String>, RedisError>>,
{
    let count = asked.len();
    let mut answers: FuturesUnordered<_> = asked
        .into_iter()
        .map(|(place, answer)| async move {
            let (what, reason) = match tokio::time::timeout(WITHIN, answer).await {
                Ok(Ok(Ok(said))) => return Ok(said),
                Ok(Ok(Err(what))) => (what, Refusal::Unreachable),
                Ok(Err(error)) => match classify_connect(&error) {
                    Failure::NotApplied {
                        reason: reason @ (Refusal::Tls | Refusal::Credentials),
                        detail,
                        ..
                    } => (detail, reason),
                    _ if is_tls && is_hung_up(&error.to_string()) => (HUNG_UP.to_owned(), Refusal::Tls),
                    _ => (error.to_string(), Refusal::Unreachable),
                },
                Err(_) => ("no answer".to_owned(), Refusal::Unreachable),
            };
            Err((format!("{place}: {what}"), reason))
        })
        .collect();
    let (mut known, mut silent) = (Vec::new(), Vec::new());
    // More than half know what they have agreed on: who does not answer holds nobody up.
    while known.len() * 2 <= count
        && let Some(said) = answers.next().await
    {
        match said {
            Ok(answer) => known.push(answer),
            Err(what) => silent.push(what),
        }
    }
    known.into_iter().max_by_key(T::epoch).ok_or_else(|| {
        let (said, reasons): (Vec<String>, Vec<Refusal>) = silent.into_iter().unzip();
        let reason = reasons.into_iter().find(|reason| *reason != Refusal::Unreachable);
        Silent { said: said.join("; "), reason: reason.unwrap_or(Refusal::Unreachable) }
    })
}

/// A connection for one question.
pub(super) async fn connect(info: &ConnectionInfo) -> Result<MultiplexedConnection, RedisError> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(WITHIN)).set_response_timeout(Some(WITHIN));
    Client::open(info.clone())?.get_multiplexed_async_connection_with_config(&config).await
}

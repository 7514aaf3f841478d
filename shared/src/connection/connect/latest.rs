//! Who knows best: several are asked at once, and of more than half of them, or of all that answer, the latest
//! configuration counts, so that one that was cut off during a failover sends nobody to the old master.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisError};

/// How long one of them may take to answer, connecting included; the others are asked meanwhile.
const WITHIN: Duration = Duration::from_secs(1);

/// What one of them says.
pub(super) trait Answer {
    /// Of which configuration: the higher, the later.
    fn epoch(&self) -> u64;
}

/// Waits for what all of these say, each with where it is asked; answers what is of the latest configuration, or what
/// each of them says instead.
///
/// # Cancel safety
/// Reads only, as far as what is asked does.
pub(super) async fn latest<T: Answer, F>(asked: Vec<(String, F)>) -> Result<T, String>
where
    F: Future<Output = Result<Result<T, String>, RedisError>>,
{
    let count = asked.len();
    let mut answers: FuturesUnordered<_> = asked
        .into_iter()
        .map(|(place, answer)| async move {
            let said = match tokio::time::timeout(WITHIN, answer).await {
                Ok(Ok(said)) => said,
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("no answer".to_owned()),
            };
            said.map_err(|what| format!("{place}: {what}"))
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
    known.into_iter().max_by_key(T::epoch).ok_or_else(|| silent.join("; "))
}

/// A connection for one question.
pub(super) async fn connect(info: &ConnectionInfo) -> Result<MultiplexedConnection, RedisError> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(WITHIN)).set_response_timeout(Some(WITHIN));
    Client::open(info.clone())?.get_multiplexed_async_connection_with_config(&config).await
}

//! What a URL of a Redis Cluster names: some of its nodes, which know the others.

use redis::ConnectionInfo;

use super::error::EndpointError;
use super::url::{self, Address, SeveralHosts};

/// The schemes, each with that of a node.
const SCHEMES: [(&str, &str); 2] = [("redis+cluster", "redis"), ("rediss+cluster", "rediss")];
const PORT: u16 = 6379;

/// What a URL of a cluster names.
pub(super) struct Named {
    /// How a node is spoken to, at the address of the first.
    pub(super) first: ConnectionInfo,
    pub(super) addresses: Vec<Address>,
}

/// Reads `redis+cluster://[[user:]password@]host[:port],host[:port]`; `None` if it is another URL.
pub(super) fn parse(url: &str) -> Result<Option<Named>, EndpointError> {
    let Some(several) = SeveralHosts::split(url, &SCHEMES) else { return Ok(None) };
    if !matches!(several.path[..], [] | ["" | "0"]) {
        return Err(several
            .wrong("a Redis Cluster has one database, 0, and no name: redis+cluster://host:6379,host:6379"));
    }
    let each = several.each(PORT, "")?;
    let addresses = each.iter().filter_map(|info| url::place(info.addr())).collect();
    Ok(each.into_iter().next().map(|first| Named { first, addresses }))
}

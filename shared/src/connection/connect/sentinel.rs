//! Redis Sentinel: who knows where the master is, and is asked before a connection is opened anew.
//!
//! All of them are asked at once, and of more than half, or of all that answer, the latest configuration (its
//! `config-epoch`) counts, so that one that was cut off during a failover sends nobody to the old master. Must not take
//! their word for what the server is: that it is a master is asked of itself, as of every server (see
//! [`Inspection`](super::inspection::Inspection)).

use std::collections::HashMap;
use std::fmt;

use redis::{ConnectionInfo, RedisConnectionInfo, RedisError};

use super::error::EndpointError;
use super::hung_up::is_tls;
use super::latest::{self, Silent};
use super::url::{self, SeveralHosts};
use crate::connection::failure::Failure;

/// The schemes, each with that of the servers.
const SCHEMES: [(&str, &str); 2] = [("redis+sentinel", "redis"), ("rediss+sentinel", "rediss")];
const PORT: u16 = 26379;

/// What a URL of Sentinels names.
pub(super) struct Named {
    /// How the master is spoken to, at the address of a Sentinel.
    pub(super) master: ConnectionInfo,
    pub(super) sentinels: Sentinels,
}

/// The Sentinels of a service.
#[derive(Clone)]
pub(crate) struct Sentinels {
    service: String,
    asked: Vec<ConnectionInfo>,
}

impl latest::Answer for Answer {
    fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// What a Sentinel says.
struct Answer {
    host: String,
    port: u16,
    epoch: u64,
}

/// Reads `redis+sentinel://[[user:]password@]host[:port],host[:port]/service[/db]`; `None` if it is another URL. The login
/// is the servers'.
pub(super) fn parse(url: &str) -> Result<Option<Named>, EndpointError> {
    let Some(several) = SeveralHosts::split(url, &SCHEMES) else { return Ok(None) };
    let service = several.path.first().copied().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if service.is_empty() || !service.chars().all(is_name) {
        return Err(several.wrong(
            "after the hosts comes the name under which the Sentinels watch the master, of letters, digits and ._-: redis+sentinel://host:26379,host:26379/NAME",
        ));
    }
    if several.path.len() > 2 {
        return Err(several.wrong(
            "after the name comes the database and nothing else: redis+sentinel://host:26379/NAME/0",
        ));
    }
    let db = several.path.get(1).map_or(String::new(), |db| format!("/{db}"));
    let asked = several.each(PORT, &db)?;
    let master = asked[0].clone();
    let asked = asked
        .into_iter()
        .map(|info| info.set_redis_settings(RedisConnectionInfo::default().set_skip_set_lib_name()))
        .collect();
    Ok(Some(Named { master, sentinels: Sentinels { service: service.to_owned(), asked } }))
}

impl Sentinels {
    /// The same, each asked as `change` makes of its address.
    pub(super) fn with(
        self,
        change: impl Fn(ConnectionInfo) -> Result<ConnectionInfo, EndpointError>,
    ) -> Result<Self, EndpointError> {
        let asked = self.asked.into_iter().map(change).collect::<Result<_, _>>()?;
        Ok(Self { asked, ..self })
    }

    /// The password that they are asked with.
    pub(super) fn password(&self) -> Option<&str> {
        self.asked.first().and_then(|info| info.redis_settings().password())
    }

    /// Where the master is by the latest configuration that any of them knows.
    ///
    /// # Errors
    /// Always [`Failure::NotApplied`]: none of them says so in time.
    ///
    /// # Cancel safety
    /// Reads only.
    pub(super) async fn master(&self) -> Result<(String, u16), Failure> {
        let asked = self.asked.iter().map(|info| (url::address(info.addr()), self.ask(info)));
        let is_tls = self.asked.iter().any(|info| is_tls(info.addr()));
        latest::latest(asked.collect(), is_tls).await.map(|Answer { host, port, .. }| (host, port)).map_err(
            |Silent { said, reason }| {
                let detail = format!("no Sentinel says where the master is: {said}");
                Failure::not_applied(reason, detail)
            },
        )
    }

    async fn ask(&self, info: &ConnectionInfo) -> Result<Result<Answer, String>, RedisError> {
        let mut connection = latest::connect(info).await?;
        let unknown = || format!("knows no `{}`", self.service);
        let mut question = redis::cmd("SENTINEL");
        question.arg("MASTER").arg(&self.service);
        let fields: HashMap<String, String> = match question.query_async(&mut connection).await {
            Ok(fields) => fields,
            Err(error) if error.to_string().contains("No such master") => return Ok(Err(unknown())),
            Err(error) => return Err(error),
        };
        let number = |name: &str| fields.get(name).and_then(|text| text.parse::<u64>().ok());
        let port = number("port").and_then(|port| u16::try_from(port).ok());
        let answer = fields.get("ip").zip(port).zip(number("config-epoch"));
        let answer = answer.map(|((host, port), epoch)| Answer { host: host.clone(), port, epoch });
        Ok(answer.ok_or_else(unknown))
    }
}

/// As in a URL, without the scheme: `host:26379,host:26379/service`.
impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.asked.iter().map(|info| url::address(info.addr())).collect();
        write!(f, "{}/{}", addresses.join(","), self.service)
    }
}

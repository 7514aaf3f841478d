//! Where Redis is and how to log in: parsed and checked once, then immutable.
//!
//! Relies on redis-rs to split a URL; checks before that, so that each wrong one is refused with the part
//! that is wrong. Must not show the password, in `Display`, `Debug` or an error.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{ConnectionAddr, ConnectionInfo};

use super::certificates::Certificates;
use super::cluster_url;
use super::error::{EndpointError, RESPONSE_TIMEOUT_MIN};
use super::options::{Credentials, RESPONSE_TIMEOUT, RedisOptions};
use super::sentinel::{self, Sentinels};
use super::url::{self, Address};
use crate::env;

/// How long connecting may take, name lookup, TLS and login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// An idle peer is probed after this time, then every `KEEPALIVE_INTERVAL`.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// Sent bytes that nobody acknowledges for this long end the connection (TCP_USER_TIMEOUT).
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
/// A password file larger than this is some other file.
const PASSWORD_FILE_BYTES_MAX: u64 = 4096;

/// One server's address with its login, TLS and TCP settings.
#[derive(Clone)]
pub struct Endpoint {
    info: ConnectionInfo,
    shown: String,
    response_timeout: Duration,
    /// What it was parsed from, where a secret of it is in a file.
    source: Option<Arc<RedisOptions>>,
    /// What was read of the files that TLS needs.
    certificates: Arc<Certificates>,
    found_by: FoundBy,
}

/// Who says where the server is.
#[derive(Clone)]
enum FoundBy {
    /// The address itself.
    Address,
    /// Sentinels, who know it by a name.
    Sentinels {
        asked: Arc<Sentinels>,
        /// The address of the endpoint is the master's.
        is_found: bool,
    },
    /// The nodes of a cluster know one another; these are asked first. The address of the endpoint is that of the first.
    Nodes(Arc<[Address]>),
}

impl Endpoint {
    /// Checks everything about the address that can be checked without speaking to it.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn parse(options: &RedisOptions) -> Result<Self, EndpointError> {
        let url = options.url.as_deref().unwrap_or_default();
        let (mut info, sentinels, nodes) = match (sentinel::parse(url)?, cluster_url::parse(url)?) {
            (Some(named), _) => (named.master, Some(named.sentinels), None),
            (None, Some(nodes)) => (nodes.first, None, Some(nodes.addresses)),
            (None, None) => (url::parse(url)?, None, None),
        };
        info = log_in(info, &options.credentials(), env::REDIS_PASSWORD)?;
        let certificates = Certificates::read(&info, options)?;
        info = certificates.put_into(info, options)?;
        let sentinels = sentinels.map(|sentinels| {
            sentinels.with(|info| {
                certificates.put_into(log_in(info, &options.sentinel, env::REDIS_SENTINEL_PASSWORD)?, options)
            })
        });
        let sentinels = sentinels.transpose()?.map(Arc::new);
        let endpoint = Self::finish(info, options.response_timeout.unwrap_or(RESPONSE_TIMEOUT))?;
        let has_files = !certificates.is_empty()
            || options.password_file.is_some()
            || options.sentinel.password_file.is_some();
        let source = has_files.then(|| Arc::new(options.clone()));
        let found_by = match (sentinels, nodes) {
            (Some(asked), _) => FoundBy::Sentinels { asked, is_found: false },
            (None, Some(nodes)) => FoundBy::Nodes(nodes.into()),
            (None, None) => FoundBy::Address,
        };
        let mut endpoint = Self { source, certificates: Arc::new(certificates), found_by, ..endpoint };
        endpoint.shown = endpoint.show();
        Ok(endpoint)
    }

    /// Whom to ask where the server is; `None` if its address says so.
    pub(super) fn sentinels(&self) -> Option<Arc<Sentinels>> {
        match &self.found_by {
            FoundBy::Sentinels { asked, .. } => Some(asked.clone()),
            FoundBy::Address | FoundBy::Nodes(_) => None,
        }
    }

    /// The nodes of a cluster that are asked first which others there are; `None` if it is no cluster.
    pub(super) fn nodes(&self) -> Option<Arc<[Address]>> {
        match &self.found_by {
            FoundBy::Nodes(nodes) => Some(nodes.clone()),
            FoundBy::Address | FoundBy::Sentinels { .. } => None,
        }
    }

    /// Whether its address is known: that of a Sentinel is not the server's.
    pub(super) fn is_found(&self) -> bool {
        !matches!(self.found_by, FoundBy::Sentinels { is_found: false, .. })
    }

    /// Whether the server was last found there.
    pub(super) fn is_at(&self, at: &Address) -> bool {
        self.is_found() && url::place(self.info.addr()).as_ref() == Some(at)
    }

    /// The same server, found there.
    pub(super) fn found_at(&self, at: Address) -> Self {
        let found_by = match self.sentinels() {
            Some(asked) => FoundBy::Sentinels { asked, is_found: true },
            None => self.found_by.clone(),
        };
        self.led_to(at, found_by)
    }

    /// A node of the cluster, spoken to in the same way.
    pub(super) fn node_at(&self, at: Address) -> Self {
        self.led_to(at, FoundBy::Address)
    }

    fn led_to(&self, (host, port): Address, found_by: FoundBy) -> Self {
        let address = url::moved(self.info.addr(), host, port);
        let mut endpoint = Self { info: self.info.clone().set_addr(address), found_by, ..self.clone() };
        endpoint.shown = endpoint.show();
        endpoint
    }

    fn show(&self) -> String {
        let address = show(&self.info);
        let scheme = address.split("://").next().unwrap_or_default();
        match &self.found_by {
            FoundBy::Address => address,
            FoundBy::Nodes(nodes) => {
                let nodes: Vec<String> = nodes.iter().map(url::host_and_port).collect();
                format!("{scheme}+cluster://{}", nodes.join(","))
            }
            FoundBy::Sentinels { asked, is_found } => {
                let at =
                    if *is_found { format!(" at {}", url::address(self.info.addr())) } else { String::new() };
                format!("{scheme}+sentinel://{asked}/{}{at}", self.info.redis_settings().db())
            }
        }
    }

    /// The same with what its files hold now; `None` if that is what was read before, or there are none.
    ///
    /// # Errors
    /// As [`Endpoint::parse`].
    pub(crate) fn reread(&self) -> Result<Option<Self>, EndpointError> {
        let Some(source) = &self.source else { return Ok(None) };
        let now = Self::parse(source)?;
        let passwords = |endpoint: &Self| {
            let of_sentinels =
                endpoint.sentinels().and_then(|sentinels| sentinels.password().map(str::to_owned));
            (endpoint.info.redis_settings().password().map(str::to_owned), of_sentinels)
        };
        let is_same = passwords(self) == passwords(&now) && self.certificates == now.certificates;
        // Where the master or the node is is not in a file.
        let now = match (&self.found_by, url::place(self.info.addr())) {
            (FoundBy::Sentinels { is_found: true, .. }, Some(at)) => now.found_at(at),
            (FoundBy::Address, Some(at)) => now.node_at(at),
            _ => now,
        };
        Ok((!is_same).then_some(now))
    }

    /// A server behind a unix socket, without login.
    ///
    /// # Errors
    /// A response timeout that is too short.
    pub fn unix(socket: &Path, response_timeout: Duration) -> Result<Self, EndpointError> {
        use redis::IntoConnectionInfo;
        let info = ConnectionAddr::Unix(socket.to_path_buf())
            .into_connection_info()
            .map_err(|error| url::wrong(&socket.display().to_string(), error))?;
        Self::finish(info, response_timeout)
    }

    fn finish(info: ConnectionInfo, response_timeout: Duration) -> Result<Self, EndpointError> {
        if response_timeout < RESPONSE_TIMEOUT_MIN {
            return Err(EndpointError::ResponseTimeout(response_timeout));
        }
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL);
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(UNACKNOWLEDGED_MAX);
        // CLIENT SETINFO is unknown to Redis 7.0 and refused by strict ACLs: an error for nothing.
        let redis = info.redis_settings().clone().set_skip_set_lib_name();
        let shown = show(&info);
        let info = info.set_tcp_settings(tcp).set_redis_settings(redis);
        Ok(Self {
            info,
            shown,
            response_timeout,
            source: None,
            certificates: Arc::default(),
            found_by: FoundBy::Address,
        })
    }

    /// How long an answer may take.
    pub fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// How long connecting may take.
    pub fn connect_timeout(&self) -> Duration {
        CONNECT_TIMEOUT
    }

    /// The same server, whose answers may take at least this long.
    #[must_use]
    pub(crate) fn patient_for(self, response_timeout: Duration) -> Self {
        Self { response_timeout: self.response_timeout.max(response_timeout), ..self }
    }

    /// Where the server is, as far as the address alone can say: two endpoints with the same are one server. Without
    /// user, database and encryption, and with one name for this machine.
    pub(crate) fn place(&self) -> String {
        match &self.found_by {
            FoundBy::Sentinels { asked, .. } => return format!("sentinel:{asked}"),
            FoundBy::Nodes(_) => return self.shown.clone(),
            FoundBy::Address => {}
        }
        let here = |host: &str| {
            let ip: Option<std::net::IpAddr> = host.parse().ok();
            host.eq_ignore_ascii_case("localhost") || ip.is_some_and(|ip| ip.is_loopback())
        };
        match self.info.addr() {
            ConnectionAddr::Unix(path) => {
                let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
                format!("unix:{}", path.display())
            }
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } if here(host) => {
                format!("localhost:{port}")
            }
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                format!("{}:{port}", host.to_lowercase())
            }
            other => other.to_string(),
        }
    }

    pub(crate) fn info(&self) -> ConnectionInfo {
        self.info.clone()
    }
}

/// The address without its login: `redis://host:6379/0`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.shown)
            .field("response_timeout", &self.response_timeout)
            .finish()
    }
}

/// The login: what the URL says wins.
fn log_in(
    info: ConnectionInfo,
    login: &Credentials,
    variable: &'static str,
) -> Result<ConnectionInfo, EndpointError> {
    let mut redis = info.redis_settings().clone();
    if redis.db() < 0 {
        return Err(EndpointError::Url { url: show(&info), what: "the database is 0 or more".into() });
    }
    if redis.username().is_none()
        && let Some(username) = &login.username
    {
        redis = redis.set_username(username);
    }
    if redis.password().is_none() {
        match (&login.password, &login.password_file) {
            (Some(_), Some(_)) => return Err(EndpointError::TwoPasswords(variable)),
            (Some(password), None) => redis = redis.set_password(password),
            (None, Some(path)) => redis = redis.set_password(read_password(path)?),
            (None, None) => {}
        }
    }
    if let (Some(username), None) = (redis.username(), redis.password()) {
        let user = username.to_string();
        return Err(EndpointError::UserWithoutPassword { user, variable });
    }
    Ok(info.set_redis_settings(redis))
}

fn read_password(path: &Path) -> Result<String, EndpointError> {
    let wrong = |what: String| EndpointError::PasswordFile { path: path.to_path_buf(), what };
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > PASSWORD_FILE_BYTES_MAX {
        return Err(wrong(format!("{size} bytes; a password file has at most {PASSWORD_FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let password = text.trim_end_matches(['\n', '\r']);
    if password.is_empty() || password.contains(['\n', '\r']) {
        return Err(wrong("it holds one line, the password".into()));
    }
    Ok(password.to_string())
}

fn show(info: &ConnectionInfo) -> String {
    let redis = info.redis_settings();
    match info.addr() {
        ConnectionAddr::Unix(path) if redis.db() == 0 => format!("unix://{}", path.display()),
        ConnectionAddr::Unix(path) => format!("unix://{}?db={}", path.display(), redis.db()),
        ConnectionAddr::TcpTls { .. } => format!("rediss://{}/{}", url::address(info.addr()), redis.db()),
        _ => format!("redis://{}/{}", url::address(info.addr()), redis.db()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::parse(&RedisOptions { url: Some(url.into()), ..RedisOptions::default() })
    }

    #[test]
    fn good_addresses_are_shown_without_secrets() {
        for (url, shown) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://:s3cret@localhost:7000/2", "redis://localhost:7000/2"),
            ("redis://bob:s3cret@10.0.0.1", "redis://10.0.0.1:6379/0"),
            ("rediss://bob:s3cret@example.org", "rediss://example.org:6379/0"),
            ("redis://[::1]:7000", "redis://[::1]:7000/0"),
            ("unix:///run/redis.sock", "unix:///run/redis.sock"),
            ("redis+sentinel://:s3cret@a,b:7,[::1]/main", "redis+sentinel://a:26379,b:7,[::1]:26379/main/0"),
            ("rediss+sentinel://u:s3cret@a/main/2", "rediss+sentinel://a:26379/main/2"),
            ("redis+cluster://:s3cret@a,b:7,[::1]", "redis+cluster://a:6379,b:7,[::1]:6379"),
            ("rediss+cluster://u:s3cret@a/0", "rediss+cluster://a:6379"),
            ("redis+unix:///run/redis.sock?db=3&pass=s3cret", "unix:///run/redis.sock?db=3"),
        ] {
            let endpoint = parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(endpoint.to_string(), shown);
            assert!(!format!("{endpoint:?}").contains("s3cret"));
        }
    }

    #[test]
    fn each_wrong_address_is_refused_with_what_is_wrong() {
        for (url, said) in [
            ("", "empty"),
            ("  ", "empty"),
            ("localhost:6379", "no scheme"),
            ("http://localhost", "scheme `http`"),
            ("redis-sentinel://a:26379,b:26379/main", "redis+sentinel://"),
            ("redis+sentinel://a:26379", "the name under which"),
            ("redis+sentinel://a,b/", "the name under which"),
            ("redis+sentinel://a/my name", "the name under which"),
            ("redis+sentinel://a/main/0/1", "and nothing else"),
            ("redis+sentinel://a/main/x", "database is a number"),
            ("redis+sentinel://a,,b/main", "host is missing"),
            ("redis+sentinel://a:x/main", "port"),
            ("redis+sentinel:///main", "host is missing"),
            ("redis-cluster://a:7000", "redis+cluster://"),
            ("redis+cluster://a:7000/1", "one database"),
            ("redis+cluster://a/name", "one database"),
            ("redis+cluster://a,,b", "host is missing"),
            ("redis+cluster://", "host is missing"),
            ("redis+cluster://a:x", "port"),
            ("redis+cluster:///run/redis.sock", "one database"),
            ("redis+cluster:///", "host is missing"),
            ("redis://a:7000,b:7000", "several hosts"),
            ("redis://", "host is missing"),
            ("redis://:6379", "host is missing"),
            ("redis://:pw@/0", "host is missing"),
            ("redis://localhost:0x10", "port"),
            ("redis://localhost:99999", "port"),
            ("redis://localhost/one", "database is a number"),
            ("redis://localhost/-1", "database is 0 or more"),
            ("redis://0.0.0.0", "wildcard"),
            ("rediss://localhost/#insecure", "certificates are always checked"),
            ("redis://local host", "space"),
            ("redis://localhost/?protocol=9", "protocol"),
            ("unix://", "absolute"),
            ("unix:///", "absolute"),
            ("unix://redis.sock", "absolute"),
        ] {
            let error = parse(url).map(|endpoint| endpoint.to_string()).unwrap_err().to_string();
            assert!(error.contains(said), "{url}: {error}");
        }
    }

    #[test]
    fn errors_hide_the_password() {
        for url in [
            "http://bob:s3cret@host",
            "redis://bob:s3cret@host:port",
            "redis://:s3cret@a,b",
            "bob:s3cret@host",
            "redis://bob:s3cret@host/x",
            "unix://rel?pass=s3cret&db=1",
        ] {
            let error = parse(url).map(|endpoint| endpoint.to_string()).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn login_comes_from_one_place() {
        let options = |url: &str| RedisOptions {
            url: Some(url.into()),
            username: Some("worker".into()),
            password: Some("fromenv".into()),
            ..RedisOptions::default()
        };
        let endpoint = Endpoint::parse(&options("redis://host")).unwrap();
        assert_eq!(endpoint.info.redis_settings().username(), Some("worker"));
        assert_eq!(endpoint.info.redis_settings().password(), Some("fromenv"));
        let endpoint = Endpoint::parse(&options("redis://u:fromurl@host")).unwrap();
        assert_eq!(endpoint.info.redis_settings().username(), Some("u"));
        assert_eq!(endpoint.info.redis_settings().password(), Some("fromurl"));
        let two = RedisOptions { password_file: Some("/x".into()), ..options("redis://host") };
        assert!(matches!(Endpoint::parse(&two), Err(EndpointError::TwoPasswords(_))));
        let none = RedisOptions { password: None, ..options("redis://host") };
        assert!(matches!(Endpoint::parse(&none), Err(EndpointError::UserWithoutPassword { .. })));
    }

    #[test]
    fn a_password_file_holds_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let options = RedisOptions {
            url: Some("redis://host".into()),
            password_file: Some(path.clone()),
            ..RedisOptions::default()
        };
        assert!(Endpoint::parse(&options).unwrap_err().to_string().contains("password file"));
        std::fs::write(&path, "pass word\r\n").unwrap();
        let endpoint = Endpoint::parse(&options).unwrap();
        assert_eq!(endpoint.info.redis_settings().password(), Some("pass word"));
        for bad in ["", "\n", "a\nb\n"] {
            std::fs::write(&path, bad).unwrap();
            assert!(Endpoint::parse(&options).is_err(), "{bad:?}");
        }
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(Endpoint::parse(&options).is_err());
    }

    #[test]
    fn a_ca_file_is_checked_at_the_door() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "not a certificate").unwrap();
        let options = |url: &str| RedisOptions {
            url: Some(url.into()),
            ca_file: Some(path.clone()),
            ..RedisOptions::default()
        };
        assert!(matches!(Endpoint::parse(&options("redis://h")), Err(EndpointError::CaFileWithoutTls)));
        let error = Endpoint::parse(&options("rediss://h")).unwrap_err().to_string();
        assert!(error.contains("no certificate"), "{error}");
    }
}

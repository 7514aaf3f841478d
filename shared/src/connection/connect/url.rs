//! A URL of Redis, read strictly: each part that is wrong is named, and none is ignored.
//!
//! Relies on redis-rs to split a URL that has passed. Must not show or look up anything that stands before the last
//! `@`: a password that was not percent-encoded would end in a log, or as a host name at a name server.

use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo};

use super::error::EndpointError;

/// Host and port.
pub(super) type Address = (String, u16);

/// A URL as typed without its secrets; for errors, where it may not even be a URL.
pub(crate) fn redacted(url: &str) -> String {
    let (scheme, rest) =
        url.split_once("://").map_or(("", url), |(_, rest)| (&url[..url.len() - rest.len()], rest));
    // The path of a socket may hold an @; everywhere else the last one ends the login.
    let rest = match rest.rsplit_once('@') {
        Some((login, host)) if !login.starts_with('/') => format!("***@{host}"),
        Some(_) => rest.to_owned(),
        // A login whose @ is missing: what should be a port is none.
        None if !scheme.is_empty() && !rest.starts_with('/') && !has_port_or_none(rest) => "***".to_owned(),
        None => rest.to_owned(),
    };
    let Some((path, query)) = rest.split_once('?') else { return format!("{scheme}{rest}") };
    let query: Vec<_> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name @ ("user" | "pass"), _)) => format!("{name}=***"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{scheme}{path}?{}", query.join("&"))
}

fn has_port_or_none(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let after_host = if authority.starts_with('[') {
        authority.rsplit_once(']').map_or("", |(_, after)| after)
    } else {
        authority
    };
    after_host.split(',').all(|host| match host.split_once(':') {
        None => true,
        Some((_, port)) => port.len() <= 5 && port.bytes().all(|digit| digit.is_ascii_digit()),
    })
}

/// A URL that names several hosts, in its parts: `scheme://[[user:]password@]host[:port],host[:port][/path][?query]`.
pub(super) struct SeveralHosts<'a> {
    url: &'a str,
    /// The scheme of each host by itself.
    base: &'static str,
    login: &'a str,
    hosts: &'a str,
    /// What comes after the hosts, between slashes.
    pub(super) path: Vec<&'a str>,
    query: &'a str,
}

impl<'a> SeveralHosts<'a> {
    /// Splits a URL that has one of these schemes, each given with that of a single host; `None` if it is another URL.
    pub(super) fn split(url: &'a str, schemes: &[(&str, &'static str)]) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (_, base) = schemes.iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name))?;
        // The last @ ends the login, and stays with it.
        let (login, after) = rest.split_at(rest.rfind('@').map_or(0, |at| at + 1));
        let (place, query) = after.split_at(after.find('?').unwrap_or(after.len()));
        let mut path = place.split('/');
        let hosts = path.next().unwrap_or_default();
        Some(Self { url, base, login, hosts, path: path.collect(), query })
    }

    /// Each host as a server's address, with the login and `db` (empty, or `/` and its number).
    pub(super) fn each(&self, port: u16, db: &str) -> Result<Vec<ConnectionInfo>, EndpointError> {
        let Self { base, login, query, .. } = self;
        let one = |host: &str| {
            // An IPv6 address has colons of its own, within brackets.
            let has_port = host.rsplit(']').next().is_some_and(|after| after.contains(':'));
            let port = if has_port { String::new() } else { format!(":{port}") };
            parse(&format!("{base}://{login}{host}{port}{db}{query}"))
        };
        self.hosts.split(',').map(one).collect()
    }

    /// What is wrong with it.
    pub(super) fn wrong(&self, what: &str) -> EndpointError {
        EndpointError::Url { url: redacted(self.url), what: what.to_owned() }
    }
}

/// The same way to another host.
pub(super) fn moved(address: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    match address {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    }
}

/// Reads a URL.
pub(super) fn parse(url: &str) -> Result<ConnectionInfo, EndpointError> {
    if url.trim().is_empty() {
        return Err(EndpointError::Empty);
    }
    let shown = redacted(url);
    if url.chars().any(|c| c.is_control() || c == ' ') {
        return Err(EndpointError::Url {
            url: shown.escape_debug().to_string(),
            what: "it contains a space or a control character; in a password a space is %20".into(),
        });
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(EndpointError::NoScheme(shown));
    };
    let scheme = scheme.to_ascii_lowercase();
    let is_unix = match scheme.as_str() {
        "redis" | "rediss" | "valkey" | "valkeys" => false,
        "unix" | "redis+unix" | "valkey+unix" => true,
        _ => return Err(EndpointError::Scheme { url: shown, scheme }),
    };
    let problem = |what: String| EndpointError::Url { url: shown.clone(), what };
    if is_unix {
        if !rest.starts_with('/') || rest.split('?').next() == Some("/") {
            return Err(problem("the path of a unix socket is absolute: unix:///path/to/redis.sock".into()));
        }
    } else {
        check_login_and_host(rest, &shown)?;
    }
    let db = check_query(rest, is_unix).map_err(problem)?;
    let info = ConnectionInfo::from_str(url).map_err(|error| match redis::parse_redis_url(url) {
        Some(_) => wrong(url, error),
        // Only the URL parser's own refusals are left: nearly always the port.
        None => problem("host or port cannot be read; the port is a number from 1 to 65535".into()),
    })?;
    // redis-rs reads `db` of a socket's query, but not of a host's.
    let Some(db) = db.filter(|_| !is_unix) else { return Ok(info) };
    let settings = info.redis_settings().clone().set_db(db);
    Ok(info.set_redis_settings(settings))
}

/// Checks what stands between the scheme and the path.
fn check_login_and_host(rest: &str, shown: &str) -> Result<(), EndpointError> {
    let problem = |what: String| EndpointError::Url { url: shown.to_owned(), what };
    let (login, after) = rest.rsplit_once('@').map_or((None, rest), |(login, after)| (Some(login), after));
    if let Some(login) = login {
        let holds = |what: String, encoded: String| {
            let instead = "or give it as REDIS_USERNAME and REDIS_PASSWORD instead of in the URL";
            problem(format!(
                "the user or the password holds {what}: write it percent-encoded, as {encoded}, {instead}"
            ))
        };
        if let Some(c) = login.chars().find(|c| "#/?@[]".contains(*c)) {
            return Err(holds(format!("`{c}`"), format!("%{:02X}", c as u32)));
        }
        let is_encoded =
            |part: &str| part.len() >= 2 && part.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
        if !login.split('%').skip(1).all(is_encoded) {
            return Err(holds("a `%` by itself".to_owned(), "%25".to_owned()));
        }
    }
    let host = after.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains(',') {
        return Err(EndpointError::SeveralHosts(shown.to_owned()));
    }
    if host.is_empty() || host.starts_with(':') {
        return Err(problem("the host is missing".into()));
    }
    if after.contains('#') {
        return Err(problem(
            "`#…` is not allowed: certificates are always checked; give a CA file instead".into(),
        ));
    }
    Ok(())
}

/// Checks every parameter; answers the database, where one is named.
fn check_query(rest: &str, is_unix: bool) -> Result<Option<i64>, String> {
    let Some((path, query)) = rest.split_once('?') else { return Ok(None) };
    let allowed: &[&str] = if is_unix { &["db", "protocol", "user", "pass"] } else { &["db", "protocol"] };
    let mut seen = Vec::new();
    let mut db = None;
    for (name, value) in query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
        if !allowed.contains(&name) {
            return Err(format!("`?{name}` is no parameter that is known; allowed: {}", allowed.join(", ")));
        }
        if seen.contains(&name) {
            return Err(format!("`{name}` is given twice"));
        }
        seen.push(name);
        if name == "db" {
            let number = value.parse().ok().filter(|db: &i64| *db >= 0);
            db = Some(number.ok_or("the database is a number from 0: redis://host/0 or ?db=0")?);
        }
    }
    let of_path = path.split_once('/').map_or("", |(_, path)| path);
    if !is_unix && db.is_some_and(|db| !of_path.is_empty() && of_path != db.to_string()) {
        return Err("path and `?db` name two databases".into());
    }
    Ok(db)
}

/// Host and port, as in a URL: redis-rs keeps an IPv6 address without its brackets.
pub(super) fn address(address: &ConnectionAddr) -> String {
    place(address).map_or_else(|| address.to_string(), |place| host_and_port(&place))
}

/// Host and port; `None` of a socket.
pub(super) fn place(address: &ConnectionAddr) -> Option<Address> {
    match address {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some((host.clone(), *port))
        }
        _ => None,
    }
}

/// As in a URL.
pub(super) fn host_and_port((host, port): &Address) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

pub(super) fn wrong(url: &str, error: redis::RedisError) -> EndpointError {
    let text = error.to_string();
    let what = match text.split_once(" - ") {
        Some(("Invalid database number", _)) => "the database is a number: redis://host/0".to_string(),
        Some(("Invalid protocol version", _)) => "protocol is resp2 or resp3".to_string(),
        Some((what, _)) => what.to_lowercase(),
        None => text,
    };
    EndpointError::Url { url: redacted(url), what }
}

#[cfg(test)]
mod tests {
    use super::{parse, redacted};

    #[test]
    fn nothing_before_the_last_at_sign_is_shown() {
        for (url, shown) in [
            ("redis://:se#cret@host:1/0", "redis://***@host:1/0"),
            ("redis://:se/cret@host", "redis://***@host"),
            ("redis://bob:se@cret@host", "redis://***@host"),
            ("redis://secret", "redis://secret"), // a host, for all we know
            ("redis://:secret", "redis://***"),
            ("redis://bob:secret", "redis://***"),
            ("redis://[::1]:7000", "redis://[::1]:7000"),
            ("bob:secret@host", "***@host"),
            ("unix:///a@b.sock?pass=secret&db=1&user=bob", "unix:///a@b.sock?pass=***&db=1&user=***"),
            ("unix://bob:secret@/tmp/x", "unix://***@/tmp/x"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_named_as_such() {
        for (c, code) in [('#', "%23"), ('/', "%2F"), ('?', "%3F"), ('@', "%40"), ('[', "%5B")] {
            for url in [format!("redis://:se{c}cret@host"), format!("rediss://bob:{c}@host:1/2?db=2")] {
                let error = parse(&url).unwrap_err().to_string();
                assert!(error.contains("percent-encoded") && error.contains(code), "{error}");
                assert!(error.contains("REDIS_PASSWORD") && !error.contains("cret"), "{error}");
            }
        }
        assert!(parse("redis://:100%@host").unwrap_err().to_string().contains("%25"));
        assert!(parse("redis://:100%zz@host").unwrap_err().to_string().contains("%25"));
        let info = parse("redis://b%40b:%23%2F%3F%25@host").unwrap();
        let settings = info.redis_settings();
        assert_eq!((settings.username(), settings.password()), (Some("b@b"), Some("#/?%")));
    }

    #[test]
    fn every_parameter_is_obeyed_or_refused() {
        let db =
            |url: &str| parse(url).map(|info| info.redis_settings().db()).map_err(|error| error.to_string());
        for (url, expected) in [
            ("redis://host?db=3", 3),
            ("redis://host/?db=3", 3),
            ("redis://host/3?db=3", 3),
            ("redis://host/4?protocol=resp3", 4),
            ("unix:///x?db=2&protocol=resp2", 2),
        ] {
            assert_eq!(db(url), Ok(expected), "{url}");
        }
        for (url, named) in [
            ("redis://host/4?db=3", "two databases"),
            ("redis://host?db=x", "number from 0"),
            ("redis://host?db=-1", "number from 0"),
            ("redis://host?db", "number from 0"),
            ("redis://host?db=1&db=1", "twice"),
            ("redis://host?timeout=3s", "`?timeout`"),
            ("redis://host?DB=3", "`?DB`"),
            ("redis://host?", "no parameter"),
            ("redis://host?pass=secret", "`?pass`"),
            ("unix:///x?database=2", "`?database`"),
        ] {
            let error = db(url).unwrap_err();
            assert!(error.contains(named), "{url}: {error}");
        }
    }
}

//! What an error of redis-rs means.
//!
//! Relies on the error codes of Redis 7.0 and later, and on redis-rs keeping them. Pure: no call is made here.
//! Must not guess: whatever is not known to be a refusal before execution is [`Failure::Unknown`]
//! or a [`Failure::Server`] error, so that a caller never reports "not applied" of something that was.

use redis::{ErrorKind, RedisError, ServerError};

use super::failure::{Failure, NO_ANSWER, raised_in_script};
use super::refusal::Refusal;

/// What an error of a call that may have been *sent* means.
pub(super) fn classify(error: &RedisError) -> Failure {
    if let Ok(server) = ServerError::try_from(error.clone()) {
        return classify_reply(&server);
    }
    let detail = error.to_string();
    match error.kind() {
        _ if is_out_of_files(&detail) => Failure::not_applied(Refusal::TooManyFiles, detail),
        _ if tls_cause(&detail).is_some() => {
            Failure::not_applied(Refusal::Tls, tls_cause(&detail).unwrap_or_default())
        }
        _ if error.is_connection_refusal() => Failure::not_applied(Refusal::Unreachable, detail),
        ErrorKind::AuthenticationFailed => Failure::not_applied(Refusal::Credentials, detail),
        ErrorKind::Client | ErrorKind::InvalidClientConfig => Failure::not_applied(Refusal::Client, detail),
        ErrorKind::ClusterConnectionNotFound => Failure::not_applied(Refusal::ClusterDown, detail),
        // Pipelines and transactions whose parts failed: the parts that did not have happened.
        _ if error.code().is_some() => Failure::unknown(detail),
        _ if error.is_timeout() => Failure::unknown(NO_ANSWER),
        _ => Failure::unknown(detail),
    }
}

fn is_out_of_files(detail: &str) -> bool {
    // EMFILE and ENFILE, as the operating system words them.
    detail.contains("(os error 24)") || detail.contains("(os error 23)")
}

/// What rustls says of a session that does not come about, in words that say what to look at.
fn tls_cause(detail: &str) -> Option<&'static str> {
    [
        ("CaUsedAsEndEntity", "the server's certificate is its own authority (self-signed): sign a certificate for the server by an authority"),
        ("UnknownIssuer", "the server's certificate is signed by an authority that is not trusted here"),
        ("NotValidForName", "the server's certificate is for another host name"),
        ("Expired", "the server's certificate has expired, or the clock of this machine is wrong"),
        ("NotValidYet", "the server's certificate is not valid yet, or the clock of this machine is wrong"),
        ("InvalidContentType", "the server does not speak TLS at this port"),
        ("CertificateRequired", "the server asks for a certificate of ours"),
        ("HandshakeFailure", "the server refused the TLS session; it may ask for a certificate of ours"),
        ("invalid peer certificate", "the server's certificate is not accepted"),
        ("received fatal alert", "the server refused our certificate, or TLS as we speak it"),
    ]
    .into_iter()
    .find_map(|(name, cause)| detail.contains(name).then_some(cause))
}

/// What an error *while connecting* means: always definite, since no call of ours had been sent.
pub(super) fn classify_connect(error: &RedisError) -> Failure {
    match classify(error) {
        refused @ Failure::NotApplied { .. } => refused,
        Failure::Server { detail, .. } if detail.starts_with("max number of clients") => {
            Failure::not_applied(Refusal::NoLink, detail)
        }
        Failure::Server { code, detail } => {
            Failure::not_applied(Refusal::Unreachable, format!("{code} {detail}"))
        }
        Failure::Unknown { .. } if error.is_timeout() => {
            Failure::not_applied(Refusal::Unreachable, "no answer while connecting")
        }
        Failure::Unknown { detail, .. } => Failure::not_applied(Refusal::Unreachable, detail),
    }
}

/// What an error reply of the server means.
pub(super) fn classify_reply(error: &ServerError) -> Failure {
    let code = error.code();
    let detail = error.details().unwrap_or_default().to_string();
    // The one refusal that has no code of its own.
    let is_missing = code == "ERR"
        && ["unknown command", "unknown subcommand"].iter().any(|words| detail.starts_with(words));
    let refusal = if is_missing { Some(Refusal::CommandMissing) } else { Refusal::of_server_code(code) };
    match refusal {
        // The same code out of a running script is no refusal: writes before it stay.
        Some(reason) if !raised_in_script(&detail) => Failure::not_applied(reason, detail),
        _ => Failure::Server { code: code.to_string(), detail },
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn reply(line: &str) -> Failure {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        classify(&value.extract_error().unwrap_err())
    }

    fn io(kind: io::ErrorKind) -> RedisError {
        RedisError::from(io::Error::from(kind))
    }

    #[test]
    fn refusals_of_the_server_are_definite() {
        for (line, reason) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", Refusal::OutOfMemory),
            ("READONLY You can't write against a read only replica.", Refusal::ReadOnly),
            ("MISCONF Errors writing to the AOF file: No space left", Refusal::PersistenceFailing),
            ("NOREPLICAS Not enough good replicas to write.", Refusal::TooFewReplicas),
            ("LOADING Redis is loading the dataset in memory", Refusal::Loading),
            ("BUSY Redis is busy running a script.", Refusal::Busy),
            ("NOPERM this user has no permissions to run the 'set' command", Refusal::NoPermission),
            ("ERR unknown command 'MULTI', with args beginning with: ", Refusal::CommandMissing),
            ("ERR unknown subcommand 'WHOAMI'. Try ACL HELP.", Refusal::CommandMissing),
            ("NOAUTH Authentication required.", Refusal::Credentials),
            ("WRONGPASS invalid username-password pair", Refusal::Credentials),
            ("MASTERDOWN Link with MASTER is down", Refusal::MasterDown),
            ("CLUSTERDOWN The cluster is down", Refusal::ClusterDown),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Refusal::TryAgain),
            ("ASK 3999 127.0.0.1:6381", Refusal::Ask),
            ("MOVED 3999 127.0.0.1:6381", Refusal::Moved),
            ("NOSCRIPT No matching script. Please use EVAL.", Refusal::NoScript),
        ] {
            let failure = reply(line);
            assert_eq!(failure.refusal(), Some(reason), "{line}");
            assert!(!failure.may_have_happened(), "{line}");
        }
    }

    #[test]
    fn other_errors_of_the_server_are_named() {
        for (line, code) in [
            ("WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE"),
            ("NOGROUP No such key 'q' or consumer group", "NOGROUP"),
            ("ERR syntax error", "ERR"),
            ("BUSYGROUP Consumer Group name already exists", "BUSYGROUP"),
        ] {
            let failure = reply(line);
            assert!(matches!(&failure, Failure::Server { code: c, .. } if c == code), "{failure:?}");
            assert!(!failure.is_transient() && !failure.may_have_happened(), "{line}");
        }
    }

    #[test]
    fn an_error_inside_a_script_may_have_left_writes() {
        for line in [
            "WRONGTYPE Operation against a key script: 1d8f, on @user_script:3.",
            "OOM command not allowed when used memory > 'maxmemory'. script: 1d8f, on @user_script:3.",
        ] {
            let failure = reply(line);
            assert!(matches!(failure, Failure::Server { .. }), "{failure:?}");
            assert!(failure.may_have_happened(), "{line}");
        }
    }

    #[test]
    fn a_lost_answer_is_unknown() {
        for kind in [
            io::ErrorKind::TimedOut,
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::BrokenPipe,
        ] {
            let failure = classify(&io(kind));
            assert!(matches!(failure, Failure::Unknown { .. }), "{kind:?}");
            assert!(failure.may_have_happened() && failure.is_transient() && failure.spoils_connection());
            assert!(!failure.is_unreachable(), "{kind:?} may have happened");
            let connecting = classify_connect(&io(kind));
            assert!(connecting.is_unreachable() && !connecting.may_have_happened(), "{kind:?}");
        }
        let parse = RedisError::from((ErrorKind::Parse, "nonsense"));
        assert!(matches!(classify(&parse), Failure::Unknown { .. }));
        let shape = RedisError::from((ErrorKind::UnexpectedReturnType, "not an array"));
        assert!(matches!(classify(&shape), Failure::Unknown { .. }));
    }

    #[test]
    fn no_server_is_unreachable() {
        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound] {
            let failure = classify(&io(kind));
            assert!(failure.is_unreachable() && failure.is_transient(), "{kind:?}");
        }
        let dns = RedisError::from(io::Error::other("failed to lookup address information"));
        assert!(classify_connect(&dns).is_unreachable());
    }

    #[test]
    fn wrong_credentials_do_not_heal_by_waiting() {
        let failure = classify(&RedisError::from((ErrorKind::AuthenticationFailed, "no")));
        assert_eq!(failure.refusal(), Some(Refusal::Credentials));
        assert!(!failure.is_transient() && failure.hint().is_some());
    }

    #[test]
    fn too_many_clients_is_no_link() {
        let value = redis::parse_redis_value(b"-ERR max number of clients reached\r\n").unwrap();
        let failure = classify_connect(&value.extract_error().unwrap_err());
        assert_eq!(failure.refusal(), Some(Refusal::NoLink));
    }
}

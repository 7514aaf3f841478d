//! Which commands a worker cannot do without, and whether a server has them: a managed service may have none of some,
//! and a proxy in front may let none of them through.
//!
//! Must not change anything on the server. What is missing for a client is told by each of its calls
//! ([`Refusal::CommandMissing`](crate::connection::failure::Refusal)); of a worker nothing may begin, since without MULTI
//! each command of a transaction would be executed by itself.

use redis::Value;

use crate::connection::failure::Failure;
use crate::connection::link::Link;

/// Of clients and scripts.
const NEEDED: &[&str] = &[
    "DEL",
    "EVAL",
    "EVALSHA",
    "EVALSHA_RO",
    "EVAL_RO",
    "EXISTS",
    "GET",
    "HDEL",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HKEYS",
    "HLEN",
    "HMGET",
    "HSCAN",
    "HSET",
    "MGET",
    "MSET",
    "PEXPIRE",
    "PTTL",
    "SADD",
    "SET",
    "SMEMBERS",
    "TIME",
    "UNLINK",
    "XADD",
    "XDEL",
    "XGROUP",
    "XINFO",
    "XLEN",
    "XRANGE",
    "XREADGROUP",
    "XREVRANGE",
    "XTRIM",
    "ZADD",
    "ZCARD",
    "ZCOUNT",
    "ZMSCORE",
    "ZRANGE",
    "ZREM",
    "ZSCAN",
    "ZSCORE",
];

/// What this server lacks, in words; `None` if it has all that can be asked about. Where this user may not ask, the calls
/// themselves say what is missing, but for MULTI, which is tried by an empty transaction.
///
/// # Errors
/// The server did not answer, or refuses every call.
pub async fn missing(link: &mut Link) -> Result<Option<String>, Failure> {
    let mut questions = redis::pipe();
    questions.cmd("MULTI").cmd("EXEC");
    questions.cmd("COMMAND").arg("INFO").arg(NEEDED);
    let mut answers = link.run_pipeline(&questions).await?.into_iter();
    for (name, answer) in ["MULTI", "EXEC"].into_iter().zip(answers.by_ref()) {
        match answer {
            Ok(_) => {}
            Err(failure) if failure.is_denied() || matches!(failure, Failure::Server { .. }) => {
                return Ok(Some(format!("{name} ({failure})")));
            }
            Err(failure) => return Err(failure),
        }
    }
    let Some(Ok(Value::Array(known))) = answers.next() else { return Ok(None) };
    let missing = NEEDED.iter().zip(known).filter(|(_, known)| matches!(known, Value::Nil));
    let missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
    Ok((!missing.is_empty()).then(|| missing.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::NEEDED;

    fn called(dir: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                called(&path, names);
                continue;
            }
            for rest in std::fs::read_to_string(path).unwrap().split("call('").skip(1) {
                let name = rest.split('\'').next().unwrap_or_default();
                names.insert(name.to_owned());
            }
        }
    }

    #[test]
    fn what_scripts_call_is_asked_about() {
        let mut names = BTreeSet::new();
        called(&Path::new(env!("CARGO_MANIFEST_DIR")).join("lua"), &mut names);
        assert!(names.len() > 20, "{names:?}");
        names.retain(|name| !NEEDED.contains(&name.as_str()));
        assert_eq!(names, BTreeSet::new());
        assert!(NEEDED.is_sorted(), "each once");
    }
}

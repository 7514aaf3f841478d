//! What locks rely on in a server, asked on connecting: that it keeps what it granted, and is not counted already.
//!
//! Relies on INFO; a user who may not call it is let in, and [`LockNodes::check`](super::LockNodes::check) says that
//! this stays unchecked. An unfit server grants nothing: it counts as failing, as if it were down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::failure::{Failure, Refusal};
use crate::connection::link::Link;
use crate::connection::preflight::{Finding, Severity, allowed, info_field, mode_field};

/// After so long a fit server is asked again, and after so short an unfit one.
const ASK_AGAIN: Duration = Duration::from_secs(60);
const ASK_UNFIT_AGAIN: Duration = Duration::from_secs(1);

/// How long the answer may take.
const ASK_WITHIN: Duration = Duration::from_secs(2);

/// What the nodes of one set of locks know of each other.
#[derive(Debug)]
pub(super) struct Peers {
    /// The run id of each, once asked: names one process of a server, whatever its addresses are.
    run_ids: Mutex<Vec<Option<String>>>,
    /// The address of each, for messages.
    names: Vec<String>,
    /// Unfit servers are used all the same.
    pub(super) allow_unfit: AtomicBool,
}

impl Peers {
    pub(super) fn new(names: Vec<String>) -> Arc<Self> {
        let run_ids = Mutex::new(vec![None; names.len()]);
        Arc::new(Self { run_ids, names, allow_unfit: AtomicBool::new(false) })
    }

    /// Takes note of who node `index` is; the address of another node that is the same server. Whoever is asked
    /// first counts, and goes on counting while it is down: both never count at once.
    fn meet(&self, index: usize, run_id: &str) -> Option<String> {
        let mut run_ids = self.run_ids.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(other, id): (usize, &Option<String>)| other != index && id.as_deref() == Some(run_id);
        if let Some(other) = run_ids.iter().enumerate().position(same) {
            run_ids[index] = None;
            return Some(self.names[other].clone());
        }
        run_ids[index] = Some(run_id.to_owned());
        None
    }
}

/// Whether one node may be used.
#[derive(Debug)]
pub(super) struct Fitness {
    index: usize,
    peers: Arc<Peers>,
    asked: tokio::sync::Mutex<Option<Asked>>,
}

#[derive(Debug)]
struct Asked {
    generation: u64,
    at: Instant,
    verdict: Result<(), Failure>,
}

impl Fitness {
    pub(super) fn new(index: usize, peers: Arc<Peers>) -> Self {
        Self { index, peers, asked: tokio::sync::Mutex::default() }
    }

    /// Is the server behind `link` fit? Asked once for each generation of its links, and again after a while.
    pub(super) async fn judge(&self, link: &mut Link, generation: u64) -> Result<(), Failure> {
        let mut asked = self.asked.lock().await;
        if let Some(asked) = &*asked {
            let lasts = if asked.verdict.is_ok() { ASK_AGAIN } else { ASK_UNFIT_AGAIN };
            if asked.generation == generation && asked.at.elapsed() < lasts {
                return asked.verdict.clone();
            }
        }
        // The mutex is held meanwhile, so a server that hangs must not be waited for without a bound.
        let Ok(findings) = tokio::time::timeout(ASK_WITHIN, self.ask(link)).await else {
            return Err(Failure::not_applied(Refusal::Unreachable, "no answer while connecting"));
        };
        let refusal = findings?.into_iter().find(|finding| finding.severity == Severity::Refusal);
        let verdict = match refusal {
            Some(finding) if !self.peers.allow_unfit.load(Ordering::Relaxed) => {
                let detail = format!("{}: {}", finding.code, finding.reason);
                Err(Failure::not_applied(Refusal::UnsafeRedis, detail))
            }
            _ => Ok(()),
        };
        *asked = Some(Asked { generation, at: Instant::now(), verdict: verdict.clone() });
        verdict
    }

    /// Asks the server about itself.
    pub(super) async fn ask(&self, link: &mut Link) -> Result<Vec<Finding>, Failure> {
        let mut question = redis::cmd("INFO");
        question.arg("server").arg("memory").arg("replication");
        let info: Option<String> = allowed(Some(link.run(&question).await))?;
        let Some(info) = info else {
            return Ok(vec![Finding {
                code: "unchecked",
                severity: Severity::Warning,
                reason: "this user may not ask what the server is (INFO)".into(),
                hint: "`ACL SETUSER <user> +info`",
            }]);
        };
        let mut findings = judge(&info);
        let same = info_field(&info, "run_id").and_then(|run_id| self.peers.meet(self.index, &run_id));
        if let Some(other) = same {
            findings.push(Finding {
                code: "same_server",
                severity: Severity::Refusal,
                reason: format!("it is the server at {other} under another address, and counts once"),
                hint: "give 1, 3 or 5 servers that fail independently of one another",
            });
        }
        Ok(findings)
    }
}

fn judge(info: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut refuse =
        |code, reason, hint| findings.push(Finding { code, severity: Severity::Refusal, reason, hint });
    if let Some(mode @ ("cluster" | "sentinel")) = mode_field(info).as_deref() {
        refuse(
            "not_standalone",
            format!("the server runs in {mode} mode"),
            "give the address of one standalone server",
        );
    }
    match info_field(info, "role").as_deref() {
        Some("master") | None => {}
        Some(role) => refuse(
            "is_replica",
            format!("the server's role is {role}: it grants nothing"),
            "give the address of a server that is no replica",
        ),
    }
    match info_field(info, "maxmemory_policy").as_deref() {
        Some("noeviction") | None => {}
        Some(policy) => refuse(
            "evicts_keys",
            format!("maxmemory-policy is {policy}: an evicted lock is granted to a second holder"),
            "`redis-cli CONFIG SET maxmemory-policy noeviction`, and `maxmemory-policy noeviction` in redis.conf",
        ),
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_locks_rely_on_is_refused_by_its_code() {
        let good = "redis_mode:standalone\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n";
        assert!(judge(good).is_empty());
        for (from, to, code) in [
            ("standalone", "cluster", "not_standalone"),
            ("standalone", "sentinel", "not_standalone"),
            ("redis_mode:standalone", "server_mode:cluster", "not_standalone"),
            ("master", "slave", "is_replica"),
            ("noeviction", "volatile-lru", "evicts_keys"),
            ("noeviction", "allkeys-random", "evicts_keys"),
        ] {
            let codes: Vec<_> = judge(&good.replace(from, to)).iter().map(|finding| finding.code).collect();
            assert_eq!(codes, [code], "{to}");
        }
    }

    #[test]
    fn a_server_counts_once_whoever_is_asked_first() {
        let peers = Peers::new(vec!["a".into(), "b".into(), "c".into()]);
        assert_eq!(peers.meet(1, "x"), None);
        assert_eq!(peers.meet(0, "x"), Some("b".into()));
        assert_eq!(peers.meet(1, "x"), None, "asked again");
        assert_eq!(peers.meet(2, "y"), None);
        // The second address leads to a server of its own by now.
        assert_eq!(peers.meet(0, "z"), None);
        assert_eq!(peers.meet(2, "z"), Some("a".into()));
    }
}

//! What we rely on in a Redis, checked before the first job: version, eviction, persistence, role.
//!
//! Relies on INFO, and on CONFIG GET where the user may call it. Each finding has a stable code, the reason, and
//! the line or command that mends it. Must not change anything on the server, and must not decide what follows:
//! the caller refuses, or warns if it was told to (`--allow-unsafe-redis`).

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use redis::{FromRedisValue, Pipeline, Value};

use crate::connection::failure::Failure;

/// The code of the finding that may be accepted.
const AOF_OFF: &str = "aof_off";
/// The oldest version whose scripts (`#!lua`) and streams we build on.
const VERSION_MIN: (u32, u32) = (7, 0);

/// The durability asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Tier {
    /// Redis has it; a crash may lose what the append-only file had not written.
    #[default]
    Memory,
    /// It is on disk before the answer.
    Fsync,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Fsync => "fsync",
        })
    }
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "memory" => Ok(Self::Memory),
            "fsync" => Ok(Self::Fsync),
            _ => Err(format!("`{word}` is no durability tier; allowed: memory, fsync")),
        }
    }
}

/// What a server is expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topology {
    /// A server by itself, or one that Sentinels watch.
    OneServer,
    /// A node of a Redis Cluster.
    Cluster,
}

/// What an operator may accept by its name: then that one finding is no refusal, and every other one still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// There is no append-only file, but replicas and snapshots, as on a managed service.
    NoAof,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAof => f.write_str("no-aof"),
        }
    }
}

impl FromStr for Accepted {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "no-aof" => Ok(Self::NoAof),
            _ => Err(format!("`{word}` is nothing that can be accepted; allowed: no-aof")),
        }
    }
}

/// Must the server not be used, or is it worth a word?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something we rely on is missing.
    Refusal,
    /// That is so, and an operator has accepted it by its name.
    Accepted,
    /// Something could not be checked, or is weaker than it looks.
    Warning,
}

/// One thing that is not as it should be. Shown as `code: reason` and a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable, snake_case.
    pub code: &'static str,
    /// Refusal or warning.
    pub severity: Severity,
    /// What is wrong, and why it matters.
    pub reason: String,
    /// How to mend it.
    pub hint: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\nhint: {}", self.code, self.reason, self.hint)
    }
}

/// All findings about one server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The version the server says, Valkey's own if it is one.
    pub version: Option<String>,
    /// In the order in which they were checked.
    pub findings: Vec<Finding>,
    /// Whether there is an append-only file; `None` if it could not be asked.
    pub has_aof: Option<bool>,
}

impl Report {
    /// The findings for which the server must not be used.
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Refusal)
    }

    /// The findings worth a word.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Warning)
    }

    /// The findings that were accepted.
    pub fn accepted(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Accepted)
    }

    /// The same where this was accepted. That there is an append-only file leaves nothing to accept; where it cannot be
    /// asked, the operator is believed.
    #[must_use]
    pub fn accepting(mut self, accepted: Option<Accepted>) -> Self {
        if accepted == Some(Accepted::NoAof) && self.has_aof != Some(true) {
            self.findings.retain(|finding| finding.code != AOF_OFF);
            let known = if self.has_aof.is_some() {
                "the append-only file is off"
            } else {
                "whether there is an append-only file cannot be asked"
            };
            self.add(
                Severity::Accepted,
                AOF_OFF,
                format!("{known}, which was accepted (no-aof): what is newer than the last snapshot outlives the server only in its replicas, as far as these have it"),
                "keep the head that each audit prints, and give it to the next audit: it names what was lost",
            );
        }
        self
    }

    /// Is there no refusal?
    pub fn is_fit(&self) -> bool {
        self.refusals().next().is_none()
    }

    /// What is found of the nodes of a cluster, each finding under the name of its node.
    pub(crate) fn of_nodes<'a>(nodes: impl Iterator<Item = (&'a str, Self)>) -> Self {
        let mut all = Self { has_aof: Some(true), ..Self::default() };
        for (name, Self { version, findings, has_aof }) in nodes {
            all.version = all.version.or(version);
            // One node without is as if none had one.
            all.has_aof = all.has_aof.zip(has_aof).map(|(all, one)| all && one);
            all.findings.extend(
                findings
                    .into_iter()
                    .map(|finding| Finding { reason: format!("{name}: {}", finding.reason), ..finding }),
            );
        }
        all
    }

    fn add(&mut self, severity: Severity, code: &'static str, reason: String, hint: &'static str) {
        self.findings.push(Finding { code, severity, reason, hint });
    }

    fn refuse(&mut self, code: &'static str, reason: String, hint: &'static str) {
        self.add(Severity::Refusal, code, reason, hint);
    }

    fn warn(&mut self, code: &'static str, reason: String, hint: &'static str) {
        self.add(Severity::Warning, code, reason, hint);
    }
}

/// What a server is asked; [`Facts::of`] reads the answers.
pub(crate) fn questions() -> Pipeline {
    let mut questions = redis::pipe();
    questions.cmd("INFO");
    questions.cmd("CONFIG").arg("GET").arg("maxmemory-policy").arg("appendonly");
    questions.arg("appendfsync").arg("no-appendfsync-on-rewrite").arg("cluster-require-full-coverage");
    questions
}

/// An answer; None where this user may not ask (or the command was renamed away).
pub(crate) fn allowed<T: FromRedisValue>(
    answer: Option<Result<Value, Failure>>,
) -> Result<Option<T>, Failure> {
    match answer {
        None => Ok(None),
        Some(Ok(value)) => Ok(redis::from_redis_value(value).ok()),
        Some(Err(Failure::Server { .. })) => Ok(None),
        Some(Err(failure)) if failure.is_denied() => Ok(None),
        Some(Err(failure)) => Err(failure),
    }
}

/// A field of the text that INFO answers.
pub(crate) fn info_field(info: &str, name: &str) -> Option<String> {
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// Whether it is a server by itself (`standalone`), a node of a cluster, or a Sentinel. A Valkey gives it another name.
pub(crate) fn mode_field(info: &str) -> Option<String> {
    info_field(info, "redis_mode").or_else(|| info_field(info, "server_mode"))
}

/// What is known of a server; None: it could not be asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    run_id: Option<String>,
    version: Option<String>,
    shown_version: Option<String>,
    mode: Option<String>,
    role: Option<String>,
    policy: Option<String>,
    aof: Option<bool>,
    appendfsync: Option<String>,
    fsync_rests_on_rewrite: Option<bool>,
    wants_full_coverage: Option<bool>,
}

impl Facts {
    /// Reads the answers to [`questions`].
    pub(crate) fn of(answers: &mut impl Iterator<Item = Result<Value, Failure>>) -> Result<Self, Failure> {
        let info: Option<String> = allowed(answers.next())?;
        let config: Option<HashMap<String, String>> = allowed(answers.next())?;
        Ok(Self::read(info.as_deref(), config.as_ref()))
    }

    /// Judges them against a tier.
    pub(crate) fn judge(&self, tier: Tier, topology: Topology) -> Report {
        judge(self, tier, topology)
    }

    /// The id of the server's process.
    pub(crate) fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    fn read(info: Option<&str>, config: Option<&HashMap<String, String>>) -> Self {
        let field = |name: &str| info_field(info?, name);
        let setting = |name: &str| config?.get(name).cloned();
        Self {
            run_id: field("run_id"),
            // Valkey says 7.2.4 here, the version of Redis it is compatible with.
            version: field("redis_version"),
            shown_version: field("valkey_version")
                .map(|version| format!("valkey {version}"))
                .or_else(|| field("redis_version").map(|version| format!("redis {version}"))),
            mode: info.and_then(mode_field),
            role: field("role"),
            policy: setting("maxmemory-policy").or_else(|| field("maxmemory_policy")),
            aof: setting("appendonly")
                .map(|word| word == "yes")
                .or_else(|| field("aof_enabled").map(|word| word == "1")),
            appendfsync: setting("appendfsync"),
            fsync_rests_on_rewrite: setting("no-appendfsync-on-rewrite").map(|word| word == "yes"),
            wants_full_coverage: setting("cluster-require-full-coverage").map(|word| word == "yes"),
        }
    }
}

fn judge(facts: &Facts, tier: Tier, topology: Topology) -> Report {
    let mut report = Report { version: facts.shown_version.clone(), has_aof: facts.aof, ..Report::default() };
    let mut unchecked = Vec::new();

    match facts.version.as_deref().map(|version| (version, major_minor(version))) {
        Some((_, Some(version))) if version >= VERSION_MIN => {}
        Some((said, _)) => report.refuse(
            "version_too_old",
            format!("the server is version {said}; scripts that refuse before they start need 7.0"),
            "install Redis 7.0 or later, or Valkey 8 or later",
        ),
        None => unchecked.push("the version"),
    }
    match (facts.mode.as_deref(), topology) {
        (Some("cluster"), Topology::OneServer) => report.refuse(
            "cluster_mode",
            "the server is a node of a Redis Cluster, and has only some of the slots".into(),
            "redis+cluster://host:6379,host:6379 names some of its nodes and finds the others",
        ),
        (Some("cluster"), Topology::Cluster) if facts.wants_full_coverage == Some(true) => report.warn(
            "one_slot_stops_all",
            "cluster-require-full-coverage is yes: while one slot has no node, every node refuses every call".into(),
            "`redis-cli CONFIG SET cluster-require-full-coverage no` on each node, and the same line in redis.conf",
        ),
        (Some("sentinel"), _) => report.refuse(
            "sentinel_mode",
            "the address is that of a Sentinel, which holds no data".into(),
            "redis+sentinel://host:26379,host:26379/NAME asks them where the master of that name is",
        ),
        _ => {}
    }
    match facts.role.as_deref() {
        Some("master") => {}
        Some(role) if facts.mode.as_deref() != Some("sentinel") => report.refuse(
            "is_replica",
            format!("the server's role is {role}: it takes no writes, and what it has may be old"),
            "give the address of the master (`redis-cli INFO replication` names it as master_host), or that of the Sentinels",
        ),
        Some(_) => {}
        None => unchecked.push("the role"),
    }
    match facts.policy.as_deref() {
        Some("noeviction") => {}
        // Also with maxmemory 0: somebody sets a limit one day, and evicted receipts spend twice, unseen.
        Some(policy) => report.refuse(
            "evicts_keys",
            format!("maxmemory-policy is {policy}: an evicted receipt lets its job be spent twice"),
            "`redis-cli CONFIG SET maxmemory-policy noeviction`, and `maxmemory-policy noeviction` in redis.conf",
        ),
        None => unchecked.push("the eviction policy"),
    }
    match facts.aof {
        Some(true) => {}
        Some(false) => report.refuse(
            AOF_OFF,
            "the append-only file is off: a restart forgets receipts and balances since the last snapshot"
                .into(),
            "`redis-cli CONFIG SET appendonly yes`, and `appendonly yes` in redis.conf; a managed service without it is accepted by the name no-aof (docs/cluster.md)",
        ),
        None => unchecked.push("the append-only file"),
    }
    judge_fsync(facts, tier, &mut report, &mut unchecked);
    if !unchecked.is_empty() {
        report.warn(
            "unchecked",
            format!("this user may not ask for: {}", unchecked.join(", ")),
            "`ACL SETUSER <user> +info +config|get`, or check them by hand",
        );
    }
    report
}

fn judge_fsync(facts: &Facts, tier: Tier, report: &mut Report, unchecked: &mut Vec<&'static str>) {
    match (tier, facts.appendfsync.as_deref()) {
        (Tier::Fsync, Some("always")) if facts.fsync_rests_on_rewrite == Some(true) => report.refuse(
            "fsync_rests_on_rewrite",
            "no-appendfsync-on-rewrite is yes: `appendfsync always` does nothing during each rewrite".into(),
            "`redis-cli CONFIG SET no-appendfsync-on-rewrite no`, and the same line in redis.conf",
        ),
        (Tier::Fsync, Some("always")) => {}
        (Tier::Fsync, Some(word)) => report.refuse(
            "fsync_too_weak",
            format!("the tier fsync is asked for, and appendfsync is {word}: answers come before the disk"),
            "`redis-cli CONFIG SET appendfsync always`, and `appendfsync always` in redis.conf",
        ),
        (Tier::Memory, Some("no")) => report.warn(
            "fsync_left_to_system",
            "appendfsync is no: a crash of the machine may lose half a minute".into(),
            "`redis-cli CONFIG SET appendfsync everysec`, and `appendfsync everysec` in redis.conf",
        ),
        (Tier::Fsync, None) => unchecked.push("appendfsync (the tier fsync rests on it)"),
        (Tier::Memory, _) => {}
    }
}

fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\
        maxmemory_policy:noeviction\r\naof_enabled:1\r\nrole:master\r\n";

    fn config(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        let mut all: HashMap<String, String> = [
            ("maxmemory-policy", "noeviction"),
            ("appendonly", "yes"),
            ("appendfsync", "everysec"),
            ("no-appendfsync-on-rewrite", "no"),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
        all.extend(pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        all
    }

    fn codes(info: Option<&str>, config: Option<&HashMap<String, String>>, tier: Tier) -> Vec<&'static str> {
        judge(&Facts::read(info, config), tier, Topology::OneServer)
            .findings
            .iter()
            .map(|finding| finding.code)
            .collect()
    }

    #[test]
    fn a_good_server_has_no_findings() {
        assert!(codes(Some(INFO), Some(&config(&[])), Tier::Memory).is_empty());
        let always = config(&[("appendfsync", "always")]);
        assert!(codes(Some(INFO), Some(&always), Tier::Fsync).is_empty());
    }

    #[test]
    fn each_thing_we_rely_on_is_refused_by_its_code() {
        for (from, to, code) in [
            ("redis_version:7.0.15", "redis_version:6.2.7", "version_too_old"),
            ("redis_version:7.0.15", "redis_version:unstable", "version_too_old"),
            ("redis_mode:standalone", "redis_mode:cluster", "cluster_mode"),
            ("redis_mode:standalone", "redis_mode:sentinel", "sentinel_mode"),
            ("role:master", "role:slave", "is_replica"),
            ("maxmemory_policy:noeviction", "maxmemory_policy:allkeys-lru", "evicts_keys"),
            ("aof_enabled:1", "aof_enabled:0", "aof_off"),
        ] {
            assert_eq!(codes(Some(&INFO.replace(from, to)), None, Tier::Memory), [code], "{to}");
        }
        for (name, value, tier, code) in [
            ("maxmemory-policy", "volatile-lru", Tier::Memory, "evicts_keys"),
            ("appendonly", "no", Tier::Memory, "aof_off"),
            ("appendfsync", "no", Tier::Memory, "fsync_left_to_system"),
            ("appendfsync", "everysec", Tier::Fsync, "fsync_too_weak"),
        ] {
            assert_eq!(codes(Some(INFO), Some(&config(&[(name, value)])), tier), [code], "{name} {value}");
        }
        let rests = config(&[("appendfsync", "always"), ("no-appendfsync-on-rewrite", "yes")]);
        assert_eq!(codes(Some(INFO), Some(&rests), Tier::Fsync), ["fsync_rests_on_rewrite"]);
    }

    #[test]
    fn what_could_not_be_asked_is_a_warning_that_names_it() {
        let report = judge(&Facts::read(None, None), Tier::Fsync, Topology::OneServer);
        assert!(report.is_fit());
        let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
        for word in ["version", "role", "eviction", "append-only", "appendfsync"] {
            assert!(finding.reason.contains(word), "{}", finding.reason);
        }
        assert_eq!(codes(Some(INFO), None, Tier::Memory), [""; 0]);
        assert_eq!(codes(Some(INFO), None, Tier::Fsync), ["unchecked"]);
    }

    #[test]
    fn what_was_accepted_is_no_refusal_and_nothing_else_is_accepted() {
        let judged = |info: Option<&str>, accepted| {
            let report =
                judge(&Facts::read(info, None), Tier::Memory, Topology::OneServer).accepting(accepted);
            let of = |severity| {
                let found = report.findings.iter().filter(move |finding| finding.severity == severity);
                found.map(|finding| finding.code).collect::<Vec<_>>()
            };
            (of(Severity::Refusal), of(Severity::Accepted), of(Severity::Warning))
        };
        let off = INFO.replace("aof_enabled:1", "aof_enabled:0");
        let no_aof = Some(Accepted::NoAof);
        assert_eq!(judged(Some(&off), None), (vec!["aof_off"], vec![], vec![]));
        assert_eq!(judged(Some(&off), no_aof), (vec![], vec!["aof_off"], vec![]));
        assert_eq!(judged(Some(INFO), no_aof), (vec![], vec![], vec![]));
        assert_eq!(judged(None, no_aof), (vec![], vec!["aof_off"], vec!["unchecked"]));
        let evicts = off.replace("noeviction", "allkeys-lru");
        assert_eq!(judged(Some(&evicts), no_aof), (vec!["evicts_keys"], vec!["aof_off"], vec![]));
        assert_eq!("no-aof".parse(), Ok(Accepted::NoAof));
        assert!("no-eviction".parse::<Accepted>().unwrap_err().contains("allowed: no-aof"));
    }

    #[test]
    fn valkey_is_judged_by_the_redis_it_is_compatible_with() {
        let info = INFO.replace("7.0.15", "7.2.4\r\nvalkey_version:8.1.1");
        let report = judge(&Facts::read(Some(&info), None), Tier::Memory, Topology::OneServer);
        assert_eq!(report.version.as_deref(), Some("valkey 8.1.1"));
        assert!(report.findings.is_empty(), "{report:?}");
        let node = info.replace("redis_mode:standalone", "server_mode:cluster");
        let report = judge(&Facts::read(Some(&node), None), Tier::Memory, Topology::OneServer);
        assert_eq!(report.findings.iter().map(|found| found.code).collect::<Vec<_>>(), ["cluster_mode"]);
    }
}

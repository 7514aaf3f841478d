//! Who has a lock, as each node says: what somebody who waits for it wants to know.

use std::fmt;
use std::time::Duration;

use super::quorum::quorum;
use crate::connection::failure::Failure;
use crate::protocol::instant::Instant;
use crate::scripts::lock::Seen;

/// What the nodes said about who has a lock, each for itself and a moment ago. Nothing may rest on it: ask for the
/// lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// One for each node.
    pub nodes: Vec<NodeLook>,
}

/// What one node said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLook {
    /// The node's address, without secrets.
    pub node: String,
    /// What it said, or why it said nothing.
    pub found: Result<Found, Failure>,
}

/// Who has a lock on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nobody.
    Free,
    /// An owner, as it calls itself, whose lock ends by itself unless it is extended.
    Held {
        /// The owner.
        owner: String,
        /// Since when, by the owner's own clock; `None` if its token does not say.
        since: Option<Instant>,
        /// For how long still.
        left: Duration,
    },
    /// Something that is no lock of ours: a key without expiry or of another type, which somebody has to delete.
    Foreign {
        /// What is written there; empty if the key is of another type.
        owner: String,
    },
}

impl Look {
    /// How many nodes answered.
    pub fn answering(&self) -> usize {
        self.nodes.iter().filter(|node| node.found.is_ok()).count()
    }

    /// Who has it on so many nodes that nobody else can have it, and for how long at most.
    pub fn holder(&self) -> Option<(&str, Duration)> {
        let held = |node: &NodeLook| match &node.found {
            Ok(Found::Held { owner, left, .. }) => Some((owner.clone(), *left)),
            _ => None,
        };
        let all: Vec<(String, Duration)> = self.nodes.iter().filter_map(held).collect();
        self.nodes.iter().find_map(|node| match &node.found {
            Ok(Found::Held { owner, .. }) => {
                let lefts: Vec<Duration> =
                    all.iter().filter(|(other, _)| other == owner).map(|(_, left)| *left).collect();
                let most = lefts.iter().max()?;
                (lefts.len() >= quorum(self.nodes.len())).then_some((owner.as_str(), *most))
            }
            _ => None,
        })
    }

    /// Since when whoever has it has had it, by that owner's own clock; `None` if nobody has it, or did not say.
    pub fn held_since(&self) -> Option<Instant> {
        let (holder, _) = self.holder()?;
        self.nodes.iter().find_map(|node| match &node.found {
            Ok(Found::Held { owner, since, .. }) if owner == holder => *since,
            _ => None,
        })
    }

    /// The nodes on which the name is occupied by something that is no lock and never goes by itself.
    pub fn foreign(&self) -> impl Iterator<Item = &NodeLook> {
        self.nodes.iter().filter(|node| matches!(node.found, Ok(Found::Foreign { .. })))
    }

    /// Whether so many nodes say that nobody has it that it could be had.
    pub fn is_free(&self) -> bool {
        let free = self.nodes.iter().filter(|node| node.found == Ok(Found::Free)).count();
        free >= quorum(self.nodes.len())
    }
}

/// `held by web-1:17 since 2026-11-23T10:00:00.123Z for at most 3.2s more; 3 of 3 nodes answer`
impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((owner, left)) = self.holder() {
            write!(f, "held by {owner}")?;
            if let Some(since) = self.held_since() {
                write!(f, " since {since}")?;
            }
            write!(f, " for at most {left:.1?} more")?;
        } else if self.is_free() {
            f.write_str("held by nobody")?;
        } else {
            f.write_str("held by nobody on a majority")?;
        }
        for NodeLook { node, found } in &self.nodes {
            match found {
                Ok(Found::Foreign { owner }) if owner.is_empty() => {
                    write!(f, "; {node}: the key is of another type, and no lock")?;
                }
                Ok(Found::Foreign { owner }) => {
                    write!(f, "; {node}: the key has no expiry, and is no lock of ours: `{owner}`")?;
                }
                Ok(Found::Free | Found::Held { .. }) => {}
                Err(failure) => write!(f, "; {node}: {failure}")?,
            }
        }
        write!(f, "; {} of {} nodes answer", self.answering(), self.nodes.len())
    }
}

impl From<Seen> for Found {
    fn from(seen: Seen) -> Self {
        match seen {
            Seen::Free => Self::Free,
            Seen::Held(token, None) => Self::Foreign { owner: token },
            Seen::Held(token, Some(_)) if token.is_empty() => Self::Foreign { owner: token },
            Seen::Held(token, Some(left)) => {
                Self::Held { owner: owner_of(&token).to_owned(), since: since_of(&token), left }
            }
        }
    }
}

/// Who took a token, as that owner calls itself; empty if it is none of a lock's.
pub(super) fn owner_of(token: &str) -> &str {
    token.rsplit_once('/').map_or("", |(owner, _)| owner)
}

/// Since when a token is its owner's, if it says so.
fn since_of(token: &str) -> Option<Instant> {
    let (_, own) = token.rsplit_once('/')?;
    Instant::from_ms(own.split_once('-')?.0.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(found: &[Result<Found, Failure>]) -> Look {
        let node = |(n, found): (usize, &Result<Found, Failure>)| NodeLook {
            node: format!("redis://{n}"),
            found: found.clone(),
        };
        Look { nodes: found.iter().enumerate().map(node).collect() }
    }

    fn held(owner: &str, secs: u64) -> Result<Found, Failure> {
        Ok(Found::Held {
            owner: owner.into(),
            since: Instant::from_ms(1_000),
            left: Duration::from_secs(secs),
        })
    }

    #[test]
    fn a_holder_is_who_has_a_majority() {
        let two = look(&[held("a", 3), held("a", 5), Ok(Found::Free)]);
        assert_eq!(two.holder(), Some(("a", Duration::from_secs(5))));
        assert_eq!(look(&[held("a", 3), held("b", 5), Ok(Found::Free)]).holder(), None);
        assert!(look(&[held("a", 3), Ok(Found::Free), Ok(Found::Free)]).is_free());
        assert!(!two.is_free());
    }

    #[test]
    fn a_token_says_since_when_and_an_older_one_does_not() {
        let before = Instant::now();
        let token = crate::lock::token::token("eu/web-1:17");
        assert_eq!(owner_of(&token), "eu/web-1:17");
        assert!(since_of(&token).unwrap() >= before);
        for other in ["web-1:17/00ff", "by hand", "", "a/-", "a/99999999999999999999-1", "a/x-1"] {
            assert_eq!(since_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_text_says_who_until_when_and_how_many_answer() {
        let text =
            look(&[held("web-1:17", 3), held("web-1:17", 2), Err(Failure::unknown("lost"))]).to_string();
        for part in [
            "held by web-1:17 since 1970-01-01T00:00:01Z for at most 3.0s",
            "redis://2: unknown",
            "2 of 3 nodes answer",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let foreign = look(&[Ok(Found::Foreign { owner: "me".into() })]).to_string();
        assert!(foreign.contains("no expiry") && foreign.contains("`me`"), "{foreign}");
    }
}

//! A model of three nodes and two processes that want one lock, run through every order of what can happen: calls that
//! are executed, also late; rounds that end with any of the answers; keys that expire; nodes that restart empty, again
//! and again, each time that the holder has come round. What the processes decide is `quorum.rs` itself.
//!
//! It shows that taking a held lock again on a node that has lost it never lets a second holder in, and that without
//! that, or if it overwrote what is there, somebody gets in. Time is left out but for its one promise: a lease ends
//! before the keys do that its last round has set.

use std::collections::HashSet;

use super::quorum::{QuorumResult, Tally, Vote, quorum};

const NODES: usize = 3;
const PROCESSES: usize = 2;
/// How often each process may try; every attempt has a token of its own.
const ATTEMPTS: [u8; PROCESSES] = [1, 2];

/// What an extension does with a node that no longer has the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Takes it again where nobody has it, if the round has a quorum: what the code does.
    Repair,
    /// Leaves it.
    Leave,
    /// Writes its token over whatever is there.
    Overwrite,
}

/// Process and attempt.
type Token = (usize, u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    /// What each node has answered so far.
    Takes([Option<bool>; NODES]),
    /// The lease is valid; the nodes of the last round that had a quorum: their keys outlive the lease.
    Holds([bool; NODES]),
    /// Its lease has ended and it does no more.
    Ended,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    nodes: [Option<Token>; NODES],
    phases: [Phase; PROCESSES],
    attempts: [u8; PROCESSES],
    /// A take that may still be executed, late, on this node: its answer is not waited for any more.
    late: [Option<(usize, Token)>; PROCESSES],
    /// Whether the holder's last round has heard every node, since the last restart, and no other's attempt was on one.
    came_round: bool,
}

impl World {
    fn new() -> Self {
        Self {
            nodes: [None; NODES],
            phases: [Phase::Idle; PROCESSES],
            attempts: [0; PROCESSES],
            late: [None; PROCESSES],
            came_round: false,
        }
    }

    fn token(&self, process: usize) -> Token {
        (process, self.attempts[process])
    }

    fn holders(&self) -> usize {
        self.phases.iter().filter(|phase| matches!(phase, Phase::Holds(_))).count()
    }

    /// The key of `token` on this node outlives a lease that is still valid.
    fn is_kept(&self, node: usize, token: Token) -> bool {
        let (process, attempt) = token;
        self.attempts[process] == attempt
            && matches!(self.phases[process], Phase::Holds(fresh) if fresh[node])
    }

    /// Every state that one step leads to.
    fn next(&self, rule: Rule) -> Vec<Self> {
        let mut next = Vec::new();
        for process in 0..PROCESSES {
            match self.phases[process] {
                Phase::Idle | Phase::Ended => self.begin(process, &mut next),
                Phase::Takes(answers) => self.take(process, answers, &mut next),
                Phase::Holds(_) => self.hold(process, rule, &mut next),
            }
            self.execute_late(process, rule, &mut next);
        }
        for node in 0..NODES {
            self.lose(node, &mut next);
        }
        next
    }

    fn begin(&self, process: usize, next: &mut Vec<Self>) {
        if self.attempts[process] < ATTEMPTS[process] {
            let mut world = self.clone();
            world.attempts[process] += 1;
            world.phases[process] = Phase::Takes([None; NODES]);
            next.push(world);
        }
    }

    /// One node answers, or its call is left to be executed late; or the round is over.
    fn take(&self, process: usize, answers: [Option<bool>; NODES], next: &mut Vec<Self>) {
        let token = self.token(process);
        let votes = answers.map(|answer| {
            answer.map(|ours| if ours { Vote::Ours } else { Vote::Taken { token: String::new() } })
        });
        if (Tally { votes: votes.to_vec() }).standing() == QuorumResult::Ours {
            let mut world = self.clone();
            world.phases[process] = Phase::Holds(answers.map(|answer| answer == Some(true)));
            world.came_round = false;
            next.push(world);
        }
        for node in 0..NODES {
            if answers[node].is_none() {
                let mut world = self.clone();
                let free = world.nodes[node].is_none();
                if free {
                    world.nodes[node] = Some(token);
                }
                let mut answers = answers;
                answers[node] = Some(free);
                world.phases[process] = Phase::Takes(answers);
                next.push(world);
                let mut world = self.clone();
                answers[node] = Some(false);
                world.late[process] = Some((node, token));
                world.phases[process] = Phase::Takes(answers);
                next.push(world);
            }
        }
        self.give_back(process, next);
    }

    /// An extension in which any of the nodes answer; or the end, by a release or by the clock.
    fn hold(&self, process: usize, rule: Rule, next: &mut Vec<Self>) {
        let token = self.token(process);
        for answering in 0..1_u8 << NODES {
            let votes = (0..NODES).map(|node| {
                let answers = answering >> node & 1 == 1;
                answers.then(|| match self.nodes[node] {
                    Some(owner) if owner == token => Vote::Ours,
                    Some(_) => Vote::Taken { token: String::new() },
                    None => Vote::Gone,
                })
            });
            let tally = Tally { votes: votes.collect() };
            let mut world = self.clone();
            match tally.standing() {
                QuorumResult::Ours => {
                    let mut fresh = [false; NODES];
                    for (node, vote) in tally.votes.iter().enumerate() {
                        fresh[node] = *vote == Some(Vote::Ours);
                        // A node that has not answered is looked at when it does: as if it had answered now.
                        let repairs = vote.is_some() && tally.repairs(node, false);
                        let again = match rule {
                            Rule::Repair => repairs,
                            Rule::Leave => false,
                            Rule::Overwrite => *vote != Some(Vote::Ours),
                        };
                        if again {
                            world.late[process] = Some((node, token));
                        }
                    }
                    let taken = tally.votes.iter().any(|vote| matches!(vote, Some(Vote::Taken { .. })));
                    // What it takes again, it has to have before the next node may restart.
                    let whole = rule == Rule::Leave || fresh == [true; NODES];
                    world.came_round = answering.count_ones() as usize == NODES && !taken && whole;
                    world.phases[process] = Phase::Holds(fresh);
                }
                QuorumResult::NotOurs => world.phases[process] = Phase::Ended,
                _ => continue,
            }
            next.push(world);
        }
        let mut world = self.clone();
        world.phases[process] = Phase::Ended;
        next.push(world);
        self.give_back(process, next);
    }

    /// A take that nobody waits for is executed; only where nobody has it, unless the rule is to overwrite.
    fn execute_late(&self, process: usize, rule: Rule, next: &mut Vec<Self>) {
        if let Some((node, token)) = self.late[process] {
            let mut world = self.clone();
            world.late[process] = None;
            if rule == Rule::Overwrite || world.nodes[node].is_none() {
                world.nodes[node] = Some(token);
            }
            next.push(world);
        }
    }

    fn give_back(&self, process: usize, next: &mut Vec<Self>) {
        let mut world = self.clone();
        let token = self.token(process);
        for node in world.nodes.iter_mut().filter(|node| **node == Some(token)) {
            *node = None;
        }
        world.phases[process] = Phase::Ended;
        next.push(world);
    }

    /// A key expires, or its node restarts empty.
    fn lose(&self, node: usize, next: &mut Vec<Self>) {
        let Some(token) = self.nodes[node] else { return };
        let expires = !self.is_kept(node, token);
        // A node may restart whenever the holder has come round since the last one did.
        let restarts = self.came_round && self.holders() > 0;
        if expires || restarts {
            let mut world = self.clone();
            world.nodes[node] = None;
            world.came_round &= expires;
            // An attempt that lasts until its own keys expire is too late: its validity counts from before its calls.
            let (process, attempt) = token;
            let attempting =
                matches!(world.phases[process], Phase::Takes(answers) if answers[node] == Some(true));
            if expires && attempting && world.attempts[process] == attempt {
                world.phases[process] = Phase::Ended;
            }
            next.push(world);
        }
    }
}

/// Goes through every state until two leases are valid at once in one; whether there is such a state, and how many
/// were seen.
fn explore(rule: Rule) -> (bool, usize) {
    let mut seen = HashSet::from([World::new()]);
    let mut open = vec![World::new()];
    while let Some(world) = open.pop() {
        if world.holders() > 1 {
            return (true, seen.len());
        }
        for next in world.next(rule) {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    (false, seen.len())
}

#[test]
fn a_lock_that_is_taken_again_is_never_shared_whatever_restarts_one_after_the_other() {
    let (shared, states) = explore(Rule::Repair);
    println!("{states} states");
    assert!(!shared, "two leases are valid at once");
    assert!(states > 10_000, "{states} states: the model does not move");
    assert_eq!(quorum(NODES), 2);
}

#[test]
fn the_model_turns_red_where_nothing_is_taken_again_or_something_is_overwritten() {
    assert!(explore(Rule::Leave).0, "two restarts let a second holder in");
    assert!(explore(Rule::Overwrite).0, "a late take over another's token lets a third in");
}

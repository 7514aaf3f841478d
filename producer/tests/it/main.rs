//! The command line from outside: the real binary against a real redis-server.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod fixtures;
mod harness;

mod acl;
mod admin;
mod audit;
mod burst;
mod cases;
mod cdnow;
mod change_ids;
mod cluster;
mod cluster_tls;
mod codes;
mod colours;
mod dead;
mod desk;
mod empty_settings;
mod enqueue;
mod failing_streams;
mod frame;
mod full_disk;
mod giving_back;
mod inventory;
mod journal;
mod json;
mod killed;
mod lookup;
mod lost_replies;
mod managed;
mod manual;
mod messages;
mod other_languages;
mod partitions;
mod payouts;
mod pipes;
mod problems;
mod proxy;
mod queue;
mod receipts;
mod recipes;
mod redis_conf;
mod refused_links;
mod repair;
mod run;
mod send;
mod stats;
mod tickets;
mod transfer;
#[cfg(feature = "watch")]
mod watch;
mod workers;

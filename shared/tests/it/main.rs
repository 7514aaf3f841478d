//! The integration tests of the crate: one binary, a real redis-server, a namespace for each test.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod harness;
mod property;
mod tables;

mod architecture;
mod audit;
mod bank;
mod cancel;
mod cancelled_sale;
mod codes_doc;
mod conservation;
mod consumers;
mod damage;
mod embedded;
mod examples;
mod giving_back;
mod init;
mod inventory;
mod link;
mod lock;
mod lost_keys;
mod model;
mod not_found;
mod orders;
mod park;
mod payout;
mod pinned;
mod preflight;
mod promises_doc;
mod protocol;
mod queues;
mod races;
mod receipt_rule;
mod receipts;
mod refusals;
mod repeat;
mod returns;
mod rows_model;
mod sabotage;
mod sentinel;
mod settle;
mod space;
mod tls;
mod transfer;
mod variables_doc;

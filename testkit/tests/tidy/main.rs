//! What the pages say of the source is so: links, paths, variables, agents, crates, words. Plain reading of files.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod library;
mod links;
mod pages;
mod paths;
mod rows;
mod servers;
mod source;
mod variables;
mod words;

//! The command line from outside: the real binary against a real redis-server.

mod harness;

mod frame;
mod operate;

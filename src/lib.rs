//! balance-gateway: one exact, live view of the balances held at many trading venues, served to many frontends.
//!
//! Modules in reading order; `ARCHITECTURE.md` is the map.

#![forbid(unsafe_code)]

pub mod model;

pub mod hub;
pub mod store;
pub mod venue;

pub mod access;
pub mod client;
pub mod protocol;
pub mod server;

pub mod config;
pub mod metrics;
pub mod runtime;
pub mod sim;

pub mod app;
pub mod cli;

//! balance-gateway: one exact, live view of the balances held at many trading venues, served to many frontends.
//!
//! Modules in reading order; `ARCHITECTURE.md` is the map.

pub mod access;
pub mod app;
pub mod cli;
pub mod config;
pub mod model;
pub mod runtime;
pub mod server;
pub mod sim;
pub mod venue;

//! The listeners: WebSocket, REST and event stream for clients; health, metrics and administration for operators.

mod config;

pub use config::Config;

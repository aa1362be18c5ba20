//! Simulated venues as real ones are met: sockets, a living market and network faults around the pure simulators of
//! [`crate::venue::sim`].
//!
//! [`Fleet`] starts them all → [`SimServer`] is one venue on one port → [`NetFault`] breaks its network → [`Market`] moves its
//! money → [`Control`] lets a person or a test do either over HTTP. Nothing here knows a venue by name.

mod conn;
mod control;
mod core;
mod faults;
mod fleet;
mod market;
mod server;

pub use control::Control;
pub use faults::{FaultError, NET_FAULTS, NetFault};
pub use fleet::{Fleet, FleetOptions, GatewayAccount};
pub use market::Market;
pub use server::{SimServer, Trading};

#[cfg(test)]
mod tests;

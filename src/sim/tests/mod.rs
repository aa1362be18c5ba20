//! Simulators over real sockets on port 0, and the market without any. Every wait is for a condition.

mod control;
mod faults;
mod market;
mod server;
mod toy;

//! Who may see what, and what a hostile neighbor can do: over real sockets, against a gateway in this process.

mod browser;
mod commands;
mod document;
mod isolation;
mod issuer;
mod kit;
mod limits;
mod revocation;
mod secrets;
mod tls;

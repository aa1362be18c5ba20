//! The gateway from outside: real sockets on free ports, real processes, a client that shares no code with the server.

mod cli;
mod operate;
mod protocol_examples;
mod support;
mod venue_page;
mod venues;

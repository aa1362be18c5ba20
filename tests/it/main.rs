//! The gateway from outside: real sockets on free ports, real processes, a client that shares no code with the server.

mod cli;
mod http_errors;
mod pages;
mod protocol_examples;
mod support;
mod venue_page;
mod venues;

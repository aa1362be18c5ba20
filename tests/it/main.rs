//! The program from outside: real processes, real sockets on free ports.

mod cli;
mod http_errors;
mod pages;
mod protocol_examples;
mod venue_page;

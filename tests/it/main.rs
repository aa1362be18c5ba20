//! The program from outside: real processes, real sockets on free ports.

mod cli;
mod pages;
mod protocol_examples;
mod venue_page;

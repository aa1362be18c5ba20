//! The gateway from outside: real sockets on free ports, real processes, a client that shares no code with the server.

mod admin;
mod cli;
mod contract;
mod delivery;
mod fuzzed;
mod http_errors;
mod lifecycle;
mod login;
mod operate;
mod operations_page;
mod pages;
mod processes;
mod protocol_examples;
mod requests;
mod rest;
mod restart;
mod security;
mod storm;
mod stream;
mod subscriptions;
mod support;
mod tidy;
mod traces;
mod venue_page;
mod venues;
mod watch;

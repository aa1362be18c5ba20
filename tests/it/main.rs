//! The program from outside: real processes, real sockets on free ports.

mod cli;
mod fuzzed;

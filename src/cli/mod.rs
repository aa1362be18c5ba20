//! The command line: one file a command. A command parses its arguments and calls the library; it decides nothing else.

pub mod simulate;

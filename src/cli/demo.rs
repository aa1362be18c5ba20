//! `demo`: the built-in simulators and the gateway against them.

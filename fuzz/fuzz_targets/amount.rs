//! Any two texts, as amounts.

#![no_main]

#[path = "../bodies.rs"]
#[allow(dead_code, reason = "each target uses its own")]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::amount(data));

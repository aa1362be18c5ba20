//! Anything a venue may send, in any order: the first byte chooses the venue.

#![no_main]

#[path = "../bodies.rs"]
#[allow(dead_code, reason = "each target uses its own")]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bodies::venue(data);
});

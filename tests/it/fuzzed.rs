//! The fuzz targets' bodies on the kept corpus, and on random bytes and random mixtures of the corpus.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

#[path = "../../fuzz/bodies.rs"]
mod bodies;

/// The kept inputs of a target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> =
        fs::read_dir(dir).expect("the corpus is kept").map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| fs::read(path).expect("readable")).collect()
}

#[test]
fn the_kept_corpus_passes() {
    for (target, body) in [("request", bodies::request as fn(&[u8])), ("config", bodies::config), ("amount", bodies::amount)] {
        corpus(target).iter().for_each(|input| body(input));
    }
}

#[test]
fn the_kept_sessions_of_every_venue_come_to_live_rows() {
    let inputs = corpus("venue");
    for venue in 0..4 {
        let live = inputs.iter().filter(|input| input[0] == venue).filter(|input| bodies::venue(input)).count();
        assert!(live > 0, "no input of venue {venue} gets past its login, so nothing is tried there");
    }
}

/// A kept input with a few lines cut, changed, doubled, taken out, or put in from another one.
fn mixed(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let inputs = corpus(target);
    let lines: Vec<Vec<u8>> = inputs.iter().flat_map(|input| split(input)).collect();
    let edit = (any::<Index>(), any::<Index>(), any::<u8>(), 0u8..7, proptest::sample::select(lines));
    (proptest::sample::select(inputs), vec(edit, 1..6)).prop_map(|(input, edits)| {
        // The first byte of a venue's input is the venue: it stays.
        let mut lines = split(&input[1..]);
        for (line, at, byte, how, other) in edits {
            let place = line.index(lines.len());
            let at = at.index(lines[place].len().max(1)).min(lines[place].len());
            match how {
                0 => lines[place].truncate(at),
                1 => lines[place].insert(at, byte),
                2 if at < lines[place].len() => lines[place][at] = byte,
                3 if lines.len() > 1 => _ = lines.remove(place),
                4 => lines.insert(place, lines[place].clone()),
                _ => lines.insert(place, other),
            }
        }
        let mut bytes = vec![input[0]];
        bytes.extend(lines.join(&b'\n'));
        bytes
    })
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_venue_message_breaks_a_session(input in mixed("venue")) {
        bodies::venue(&input);
    }

    #[test]
    fn no_request_breaks_the_parser(input in mixed("request"), noise in vec(any::<u8>(), 0..60)) {
        bodies::request(&input);
        bodies::request(&noise);
    }

    #[test]
    fn no_file_breaks_the_configuration(input in mixed("config")) {
        bodies::config(&input);
    }

    #[test]
    fn no_two_amounts_break_arithmetic(
        a in "-?[0-9]{1,40}(\\.[0-9]{1,40})?([eE]-?[0-9]{1,3})?", b in "-?[0-9]{1,40}(\\.[0-9]{1,40})?([eE]-?[0-9]{1,3})?"
    ) {
        bodies::amount(format!("{a}\n{b}").as_bytes());
    }
}

//! `docs/venues.md` holds against the code: the tests it names exist, and options and bounds are those of the venues.

use std::collections::BTreeSet;
use std::path::Path;

use balance_gateway::venue::VENUES;

const TEXT: &str = include_str!("../../docs/venues.md");

/// Names of the functions in all sources that are tests.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for dir in ["src", "tests"] {
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut found);
    }
    found
}

fn walk(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                let name = line.trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split('(').next());
                if let (true, Some(name)) = (is_test, name) {
                    found.insert(name.to_owned());
                }
                is_test =
                    line.starts_with("#[test]") || line.starts_with("#[tokio::test") || (is_test && line.starts_with("#["));
            }
        }
    }
}

/// The names in backticks in the last column of the tables of edge cases.
fn cited() -> Vec<&'static str> {
    let rows = TEXT.lines().filter(|line| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit()));
    let cells = rows.filter_map(|line| line.trim_end_matches([' ', '|']).rsplit('|').next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_test_the_page_names_exists() {
    let (tests, cited) = (tests(), cited());
    assert!(cited.len() > 100, "only {} tests are named", cited.len());
    let missing: Vec<_> = cited.into_iter().filter(|name| !tests.contains(*name)).collect();
    assert!(missing.is_empty(), "named but not there: {missing:?}");
}

#[test]
fn every_venue_has_its_section_with_its_edge_cases() {
    let counts = [("p99", 12), ("bitfinex", 16), ("synthesis", 15), ("moonbase", 14)];
    assert_eq!(counts.map(|(name, _)| name), [VENUES[0].name, VENUES[1].name, VENUES[2].name, VENUES[3].name]);
    for (venue, (_, cases)) in VENUES.iter().zip(counts) {
        let (_, rest) =
            TEXT.split_once(&format!("\n## {}\n", venue.title)).unwrap_or_else(|| panic!("no section of {}", venue.title));
        let section = rest.split("\n## ").next().expect("split gives at least one piece");
        for n in 1..=cases {
            assert!(section.contains(&format!("\n| {n} | ")), "{}: case {n} is missing", venue.name);
        }
        for fact in [venue.manual, venue.ws_url, venue.rest_url, &format!("{} s", venue.liveness_bound_ms / 1000)] {
            assert!(section.contains(fact), "{}: {fact} is missing", venue.name);
        }
    }
}

#[test]
fn the_options_of_the_page_are_those_of_the_venues() {
    for venue in VENUES {
        let source =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/venue/{}/mod.rs", venue.name)));
        let source = source.expect("a venue's mod.rs");
        let calls = source
            .split(".integer(")
            .chain(source.split(".boolean("))
            .chain(source.split(".choice("))
            .chain(source.split(".text("));
        let known: BTreeSet<_> = calls.filter_map(|rest| rest.strip_prefix('"')?.split('"').next()).collect();
        let (_, rest) = TEXT.split_once(&format!("\n## {}\n", venue.title)).expect("a section of the venue");
        let section = rest.split("\n## ").next().expect("split gives at least one piece");
        let table = section.split("\n| option |").nth(1).expect("a table of options").split("\n\n").next().expect("a table");
        let shown: BTreeSet<_> = table.lines().skip(2).filter_map(|line| line.split('`').nth(1)).collect();
        assert_eq!(shown, known, "{}", venue.name);
    }
}

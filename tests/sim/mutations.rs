//! The list of safeguards to break, held to the code and to its page. Nothing is broken here: `scripts/mutations` does that.

use std::collections::BTreeSet;
use std::path::Path;

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn listed() -> Vec<toml::Table> {
    let list: toml::Table = text("tests/sim/mutations.toml").parse().unwrap();
    list["mutation"].as_array().unwrap().iter().map(|mutation| mutation.as_table().unwrap().clone()).collect()
}

#[test]
fn every_mutation_still_applies_and_changes_something() {
    let mut bad = Vec::new();
    for mutation in listed() {
        let of = |name: &str| mutation[name].as_str().unwrap().to_owned();
        let count = text(&of("file")).matches(&of("from")).count();
        if count != 1 || of("from") == of("to") {
            bad.push(format!("{}: stands {count} times in {}", of("name"), of("file")));
        }
    }
    assert!(bad.is_empty(), "tests/sim/mutations.toml no longer fits the code:\n  {}", bad.join("\n  "));
}

#[test]
fn the_page_of_safeguards_names_every_mutation_and_no_other() {
    let page = text("docs/safeguards.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let told: BTreeSet<String> = rows.map(|(name, _)| name.to_owned()).collect();
    let names: BTreeSet<String> = listed().iter().map(|mutation| mutation["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, names);
}

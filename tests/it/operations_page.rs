//! Holds `docs/operations.md` against the code: every state, reason and line of the log stands there with its meaning.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use balance_gateway::model::AccountState;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of the table under a heading, as lists of cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).expect("the heading is there");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| code |"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`').to_owned()).collect()).collect()
}

fn column(heading: &str, nth: usize) -> BTreeSet<String> {
    table(heading).into_iter().map(|row| row[nth].clone()).collect()
}

#[test]
fn every_account_state_has_its_meaning() {
    let mut told = column("Account states", 0);
    assert!(told.remove("state"));
    assert_eq!(told, AccountState::ALL.map(|state| state.as_str().to_owned()).into());
}

#[test]
fn every_reason_has_its_cure() {
    // The set is closed, but has no list: its words are taken from where they are written.
    let source = fs::read_to_string(root().join("src/model/account.rs")).unwrap();
    let (_, reasons) = source.split_once("impl ReasonCode {").expect("the codes are there");
    let words = reasons.split("impl ").next().unwrap().lines().filter_map(|line| line.split('"').nth(1));
    let words: BTreeSet<String> = words.map(str::to_owned).collect();
    assert!(words.len() > 20, "{words:?}");
    assert_eq!(column("Reasons", 0), words);
}

#[test]
fn every_exit_code_is_told() {
    let told = column("Exit codes", 0);
    for code in ["0", "1", "64", "70", "78"] {
        assert!(told.contains(code), "{code} is not in {told:?}");
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.to_str().unwrap().contains("tests") {
            found.push(path);
        }
    }
}

/// Level and message of every `tracing::level!(…, "message")` in the library.
fn logged() -> BTreeSet<(String, String)> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut found = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for call in text.split("tracing::").skip(1) {
            let Some((level, rest)) = call.split_once("!(") else { continue };
            if !["error", "warn", "info", "debug"].contains(&level) {
                continue;
            }
            let arguments = &rest[..closing(rest)];
            let message = arguments.rsplit('"').nth(1).unwrap_or_default();
            found.insert((level.to_owned(), message.to_owned()));
        }
    }
    found
}

/// Where the parenthesis that is open at the start closes.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

#[test]
fn every_line_of_the_log_stands_in_the_table() {
    let logged = logged();
    assert!(logged.len() > 15, "{logged:?}");
    let told: BTreeSet<_> = table("Log events").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let missing: Vec<_> = logged.iter().filter(|(_, message)| message != "{warning}").filter(|l| !told.contains(l)).collect();
    assert!(missing.is_empty(), "not in docs/operations.md, \"Log events\": {missing:?}");
    let gone: Vec<_> = told
        .iter()
        .filter(|(level, message)| {
            level != "level" && !message.starts_with('(') && !logged.contains(&(level.clone(), message.clone()))
        })
        .collect();
    assert!(gone.is_empty(), "no longer logged: {gone:?}");
}

//! `docs/protocol.md` says what the gateway does: its requests parse, its frames have the fields of real frames, and its lists
//! of codes, states and metrics are the code's.

pub mod live;

use std::collections::{BTreeMap, BTreeSet};

use balance_gateway::metrics::Metrics;
use balance_gateway::model::AccountState;
use balance_gateway::protocol;
use serde_json::Value;

const TEXT: &str = include_str!("../../../docs/protocol.md");
const CODES: &str = include_str!("../../../src/protocol/codes.rs");
const METRICS: &str = include_str!("../../../src/metrics/mod.rs");
const ACCOUNT: &str = include_str!("../../../src/model/account.rs");

/// The examples of one direction, `→` or `←`, as text.
fn examples(arrow: char) -> Vec<String> {
    let mut found = Vec::new();
    for block in TEXT.split("```json\n").skip(1) {
        let block = block.split("```").next().expect("split gives at least one piece");
        let mut current: Option<(char, String)> = None;
        for line in block.lines() {
            if let Some(first @ ('→' | '←')) = line.chars().next() {
                found.extend(current.replace((first, line[first.len_utf8()..].to_owned())));
            } else {
                current.as_mut().expect("an example begins with an arrow").1.push_str(line);
            }
        }
        found.extend(current);
    }
    found.into_iter().filter(|(direction, _)| *direction == arrow).map(|(_, text)| text).collect()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}"))
}

#[test]
fn every_request_of_the_page_parses() {
    let requests = examples('→');
    assert!(requests.len() >= 7, "{}", requests.len());
    for text in requests {
        let parsed = protocol::parse(text.trim());
        assert!(parsed.is_ok(), "{text}: {parsed:?}");
    }
    assert!(protocol::parse(r#"{"type":"subscribe","channel":"user:balances","since":null,"filter":null,"id":null}"#).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_of_the_page_has_the_fields_of_a_real_one() {
    let real = live::traffic().await.objects();
    let shown = examples('←');
    assert!(shown.len() >= 18, "{}", shown.len());
    let mut wrong = Vec::new();
    for text in &shown {
        for part in parts(&parsed(text)) {
            if !real.iter().flat_map(parts).any(|real| real.0 == part.0 && agree(&real.1, &part.1)) {
                let near: BTreeSet<_> = real.iter().flat_map(parts).filter(|r| r.0 == part.0).map(|r| r.1).collect();
                wrong.push(format!("{} of {text}\n  has {:?}\n  real ones: {near:#?}", part.0, part.1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

type Fields = BTreeMap<String, &'static str>;

/// A frame as the things that are compared one by one: itself without its rows, each account record, each row.
fn parts(frame: &Value) -> Vec<(String, Fields)> {
    let word = |value: &Value, name: &str| value[name].as_str().unwrap_or("").to_owned();
    let mut parts = Vec::new();
    for (list, key) in [("accounts", "venue"), ("balances", "venue"), ("orders", "venue")] {
        for row in frame[list].as_array().into_iter().flatten() {
            let kind = format!("{list} of {}", word(row, key));
            parts.push((kind, fields(row)));
        }
    }
    parts.push((format!("frame {:?} of {:?}", word(frame, "type"), word(frame, "channel")), fields(frame)));
    parts
}

/// Every path of an object with its JSON type. What is the venue's own JSON, or a list, is not looked into; an echoed `id` says
/// nothing.
fn fields(value: &Value) -> Fields {
    fn walk(prefix: &str, value: &Value, into: &mut Fields) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            if path == "id" {
                continue;
            }
            let kind = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "list",
                Value::Object(_) => "object",
            };
            if kind == "object" && !["cause.venue", "stats", "permissions", "gsn"].contains(&path.as_str()) {
                walk(&path, value, into);
            } else {
                into.insert(path, kind);
            }
        }
    }
    let mut found = Fields::new();
    walk("", value, &mut found);
    found
}

/// The same paths, of the same types; `null` stands for any.
fn agree(a: &Fields, b: &Fields) -> bool {
    let same = |(x, y): (&&str, &&str)| x == y || *x == "null" || *y == "null";
    a.keys().eq(b.keys()) && a.values().zip(b.values()).all(same)
}

// ── lists ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The part of the page below a heading, up to the next one of any level.
fn section(heading: &str) -> &'static str {
    let (_, rest) = TEXT.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("no heading {heading:?}"));
    rest.split("\n#").next().expect("split gives at least one piece")
}

/// The first cells of a section's table, without backticks, a cell of several names as several.
fn first_cells(heading: &str) -> BTreeSet<String> {
    let rows = section(heading).lines().filter(|line| line.starts_with("| ") && !line.starts_with("| **"));
    let cells = rows.filter_map(|line| line.split('|').nth(1)).flat_map(|cell| cell.split(','));
    cells.map(|cell| cell.replace('`', "").trim().to_owned()).collect()
}

/// The texts between quotes after `=>` in a function of a source file.
fn words(source: &str, from: &str) -> BTreeSet<String> {
    let (_, rest) = source.split_once(from).unwrap_or_else(|| panic!("no {from:?}"));
    let body = rest.split("\n}").next().expect("split gives at least one piece");
    body.lines().filter_map(|line| line.split_once("=> \"")?.1.split('"').next()).map(str::to_owned).collect()
}

#[test]
fn error_codes_are_those_of_the_code() {
    let mut shown = first_cells("### Error codes");
    shown.remove("code");
    assert_eq!(shown, words(CODES, "impl ErrorCode"));
}

#[test]
fn close_codes_are_those_of_the_code() {
    let mut shown = first_cells("### Close codes");
    shown.remove("code");
    let number = |line: &str| line.trim().trim_end_matches(',').split_once(" = ").map(|(_, number)| number.to_owned());
    let (_, rest) = CODES.split_once("pub enum CloseCode").expect("the enum is there");
    let known: BTreeSet<_> = rest.split("\n}").next().into_iter().flat_map(str::lines).filter_map(number).collect();
    assert_eq!(shown, known);
}

#[test]
fn states_and_reasons_are_those_of_the_code() {
    let states: BTreeSet<_> = AccountState::ALL.iter().map(|state| state.as_str().to_owned()).collect();
    let shown = first_cells("### Account records");
    assert!(states.iter().all(|state| shown.contains(state)), "{shown:?}");
    let (_, rest) = section("### Account records").split_once("Reason codes: ").expect("the list is there");
    let shown: BTreeSet<_> = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(shown, words(ACCOUNT, "impl ReasonCode"));
}

#[test]
fn metrics_are_those_of_the_code() {
    let mut shown = first_cells("## Metrics");
    shown.remove("metric");
    let plain: BTreeSet<_> = shown.iter().map(|name| name.trim_end_matches("_total")).collect();
    let registered = METRICS.split("r.register(").skip(1).filter_map(|rest| rest.split('"').nth(1));
    assert_eq!(plain, registered.collect());
    // Those without labels are rendered from the start: that tells which are counters.
    let text = Metrics::default().render();
    for (name, kind) in text.lines().filter_map(|line| line.strip_prefix("# TYPE balance_gateway_")?.split_once(' ')) {
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(shown.contains(&name), "{name}");
    }
}

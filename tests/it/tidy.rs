//! House rules that a machine can check. The compiler and clippy check the rest.

use std::collections::BTreeSet;
use std::path::Path;

use balance_gateway::venue::VENUES;

/// Longest file, in lines.
const MAX_LINES: usize = 700;

/// Who may import whom: a module of `src` and the modules it may name. `app`, `cli`, `lib` and `main` may name all.
const IMPORTS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("metrics", &[]),
    // Of the model only the times.
    ("runtime", &["model"]),
    ("protocol", &["model"]),
    ("access", &["model"]),
    ("sync", &[]),
    ("store", &["model", "metrics", "sync"]),
    // The parent's contracts and drivers; a venue's own folder has a rule of its own.
    ("venue", &["model", "store", "metrics", "runtime"]),
    ("hub", &["model", "protocol", "store", "metrics", "sync"]),
    ("client", &["model", "protocol", "access", "hub", "metrics", "runtime", "sync"]),
    ("server", &["client", "access", "protocol", "model", "hub", "store", "metrics", "runtime"]),
    ("sim", &["model", "venue", "runtime"]),
    ("config", &["access", "server", "venue", "runtime"]),
];

struct Source {
    /// From the package's root, with `/` between.
    name: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.name.starts_with("tests/") || self.name.contains("/tests") || self.name.ends_with("testkit.rs")
    }

    /// Code that ships: without comments, and without what is compiled for tests alone.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let lines = self.text[..end].lines().zip(1..);
        lines.map(|(line, number)| (number, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The modules of this crate that the shipped code names.
    fn named(&self) -> BTreeSet<&str> {
        let mut named = BTreeSet::new();
        for (_, line) in self.code() {
            for rest in line.split("crate::").skip(1) {
                let list = rest.strip_prefix('{').map_or(rest, |list| list.split('}').next().unwrap_or(list));
                let names = if rest.starts_with('{') { list.split(',').collect() } else { vec![list] };
                let first = |name: &'_ str| name.trim().find(|c: char| !c.is_alphanumeric() && c != '_');
                named.extend(names.into_iter().map(|name| &name.trim()[..first(name).unwrap_or(name.trim().len())]));
            }
        }
        named
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<Source> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(Source { name: name(&path), text: std::fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds no source");
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/")
}

fn everything() -> impl Iterator<Item = Source> {
    ["src", "tests"].into_iter().flat_map(sources)
}

/// Fails with every breach at once.
fn none(rule: &str, breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = everything().filter(|source| !source.text.trim().is_empty() && !source.text.starts_with("//! "));
    none("a file opens with //!", silent.map(|source| source.name).collect());
}

#[test]
fn no_file_is_too_long_to_find_ones_way_in() {
    let long = everything().map(|source| (source.text.lines().count(), source.name)).filter(|(lines, _)| *lines > MAX_LINES);
    none("a file is too long", long.map(|(lines, name)| format!("{name}: {lines} lines")).collect());
}

#[test]
fn modules_import_only_whom_they_may() {
    let mut breaches = Vec::new();
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        let module = source.name.split('/').nth(1).unwrap().trim_end_matches(".rs");
        let Some((_, allowed)) = IMPORTS.iter().find(|(of, _)| *of == module) else {
            assert!(
                ["app", "cli", "lib", "main"].contains(&module),
                "{module} has no import rule: add it, and to ARCHITECTURE.md"
            );
            continue;
        };
        let foreign = source.named().into_iter().filter(|name| *name != module && !allowed.contains(name));
        breaches.extend(foreign.map(|foreign| format!("{} names {foreign}", source.name)));
    }
    none("an import the house plan does not allow", breaches);
}

#[test]
fn the_runtime_takes_only_the_times_of_the_model() {
    let times = ["Mono", "Now", "UnixMs"];
    let mut breaches = Vec::new();
    for source in sources("src/runtime").iter().filter(|source| !source.is_test()) {
        for (number, line) in source.code().filter(|(_, line)| line.contains("crate::model")) {
            let list = line.rsplit("model::").next().unwrap().trim_matches(|c| "{};".contains(c));
            if !list.split(',').all(|name| times.contains(&name.trim())) {
                breaches.push(format!("{}:{number}", source.name));
            }
        }
    }
    none("runtime knows of the model only its times", breaches);
}

#[test]
fn a_venue_knows_the_model_and_its_parents_contracts_alone() {
    let mut breaches = Vec::new();
    for venue in VENUES {
        for source in sources(&format!("src/venue/{}", venue.name)).iter().filter(|source| !source.is_test()) {
            let foreign = source.named().into_iter().filter(|name| !["model", "venue"].contains(name));
            breaches.extend(foreign.map(|foreign| format!("{} names {foreign}", source.name)));
        }
    }
    none("a venue's folder imports a stage", breaches);
}

#[test]
fn a_venue_is_named_only_in_its_folder_and_in_the_list() {
    let mut breaches = Vec::new();
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        for venue in VENUES.iter().filter(|venue| !source.name.starts_with(&format!("src/venue/{}/", venue.name))) {
            for (number, line) in source.code() {
                let listed =
                    source.name == "src/venue/mod.rs" && (line.starts_with("pub mod ") || line.contains("const VENUES"));
                if !listed && line.to_lowercase().contains(venue.name) {
                    breaches.push(format!("{}:{number} names {}", source.name, venue.name));
                }
            }
        }
    }
    none("a venue is named outside its folder", breaches);
}

#[test]
fn shipped_code_neither_unwraps_nor_leaves_things_undone() {
    let banned = [".unwrap()", "todo!(", "unimplemented!(", "dbg!("];
    let mut breaches = Vec::new();
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        for (number, line) in source.code() {
            let found = banned.iter().filter(|word| line.contains(**word));
            breaches.extend(found.map(|word| format!("{}:{number} {word}", source.name)));
        }
    }
    none("unwrap or an unfinished place", breaches);
}

#[test]
fn no_test_is_switched_off() {
    let mark = concat!("#[", "ignore");
    let off = everything().filter(|source| source.text.contains(mark));
    none("a test is switched off", off.map(|source| source.name).collect());
}

//! The README and its neighbors hold against the repository: links lead somewhere, the examples shown are those that are run, the
//! configuration shown is valid, the commands shown exist.

use std::path::Path;

use balance_gateway::config::Config;

const README: &str = include_str!("../../README.md");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The texts of the fenced blocks in a language.
fn fenced(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let blocks = README.split(&fence).skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_readme_shows_the_examples_that_are_run() {
    for (file, language) in [("balances.mjs", "js"), ("balances.py", "python"), ("balances.rs", "rust")] {
        let text = std::fs::read_to_string(root().join("examples").join(file)).expect("the example is there");
        assert!(fenced(language).contains(&text.as_str()), "README.md does not show examples/{file} as it is");
    }
}

#[test]
fn the_configuration_of_the_readme_is_valid() {
    let blocks = fenced("toml");
    let [text] = blocks[..] else { panic!("{} configurations", blocks.len()) };
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("it can be written");
    let secrets = ["GATEWAY_JWT_SECRET", "BFX_KEY", "BFX_SECRET"].map(|name| (name.to_owned(), "0123456789abcdef".repeat(2)));
    let config = Config::load(Some(file.path()), secrets).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((config.accounts.len(), config.warnings), (2, Vec::new()));
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/adding-a-venue.md"] {
        let path = root().join(page);
        let text = std::fs::read_to_string(&path).expect("the page is there");
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http") && !target.contains(char::is_whitespace)) {
            let file = path.parent().expect("a file has a folder").join(target.split('#').next().expect("a first piece"));
            assert!(file.exists(), "{page} links to {target}");
        }
    }
}

#[test]
fn every_command_of_the_readme_exists() {
    let table = README.lines().filter_map(|line| line.strip_prefix("| `balance-gateway ")?.split([' ', '`']).next());
    let commands: Vec<_> = table.collect();
    assert_eq!(commands.len(), 7, "{commands:?}");
    for command in commands {
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_balance-gateway")).args([command, "--help"]).output();
        assert!(ran.expect("the program was built").status.success(), "{command}");
    }
}

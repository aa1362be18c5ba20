//! What is read, what is refused and how it is told. The venue is a toy, so that no real venue's rules matter here.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::venue::{AccountSpec, Connected, Connector, Handshake, HostLimits, Problem, Session, Shared, WalletSpec, Window};

/// Asks for `api_key`, and knows the option `depth`.
fn connect(spec: &AccountSpec, _: &Shared) -> Connected {
    let mut options = spec.options.reader();
    options.integer("depth", 1, 1..=9);
    let mut problems = options.finish();
    if !spec.credentials.has("api_key") {
        problems.push(Problem::new("credentials.api_key", "is missing; set it"));
    }
    if problems.is_empty() { Ok(Arc::new(Toy)) } else { Err(problems) }
}

struct Toy;

impl Connector for Toy {
    fn handshake(&self) -> Handshake {
        unreachable!("nothing here dials")
    }
    fn session(&self, _: u64) -> Box<dyn Session> {
        unreachable!("nothing here dials")
    }
    fn rest_url(&self) -> &str {
        ""
    }
}

const TOY: Venue = Venue {
    name: "toybox",
    title: "Toybox",
    manual: "https://toybox.example",
    ws_url: "wss://toybox.example/ws",
    rest_url: "https://toybox.example/",
    limits: HostLimits { connects: Window { count: 1, per_ms: 1 }, open: 1, calls: Window { count: 1, per_ms: 1 } },
    liveness_bound_ms: 1,
    resyncs: &[],
    connect,
    simulate: |_| unreachable!("nothing here simulates"),
    sample: || unreachable!("nothing here simulates"),
};
const TOYS: &[Venue] = &[TOY, Venue { name: "puppets", ..TOY }];

const ACCOUNT: &str = "[[accounts]]\nid = \"toy-main\"\nvenue = \"toybox\"\ncredentials = { api_key = \"MARKER\" }\n";
const KEY: &str = "[[access.keys]]\nalgorithm = \"HS256\"\nsecret = \"MARKER-0123456789abcdef0123456789\"\n";

/// A file in a directory of its own that only its owner can read.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        self.mode(name, 0o600);
        path
    }
    fn mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.0.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn with(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let files = Files::new();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load_with(Some(&files.put("gateway.toml", text)), env, TOYS)
}

/// Key and message of every problem; none of them, nor any form of them, holds `MARKER`.
fn problems(text: &str, env: &[(&str, &str)]) -> Vec<(String, String)> {
    let errors = with(text, env).unwrap_err();
    assert!(!format!("{errors} {errors:?}").contains("MARKER"), "{errors}");
    errors.problems.into_iter().map(|p| (p.key, p.message)).collect()
}

#[track_caller]
fn one(text: &str, env: &[(&str, &str)], key: &str, part: &str) {
    let found = problems(text, env);
    let [(found_key, message)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(found_key, key);
    assert!(message.contains(part), "{message:?} lacks {part:?}");
}

#[test]
fn the_built_in_defaults_are_the_defaults_of_the_stages() {
    let config = Config::load_with(None, [], TOYS).unwrap();
    assert_eq!(format!("{:?}", config.server), format!("{:?}", server::Config::default()));
    assert_eq!(format!("{:?}", config.access), format!("{:?}", access::Config::default()));
    assert_eq!(config.log, LogConfig::default());
    assert!(config.accounts.is_empty() && config.state_dir.is_none() && config.file.is_none());
}

/// A section in which every key was asked for, so that the list of keys is the code's own.
static ASKED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let text = format!("{DEFAULTS}\n{KEY}\n{ACCOUNT}\nwallets = [{{ address = \"a\" }}]\n").replace("\nkeys = []\n", "\n");
    let root: toml::Table = toml::from_str(&text.replace("\naccounts = []\n", "\n")).unwrap();
    let node::Kind::Table(root) = node::Node::from_toml(toml::Value::Table(root), "").kind else { panic!("no table") };
    let reader = Reader::new(BTreeMap::new());
    Config::read(&reader, root, TOYS);
    reader.asked()
});

#[test]
fn every_key_stands_in_the_built_in_file_under_a_comment() {
    assert!(ASKED.len() > 30, "{:?}", *ASKED);
    let lines: Vec<_> = DEFAULTS.lines().collect();
    for key in ASKED.iter().filter(|key| {
        !["server", "server.tls", "server.admin_tls", "upstream", "access", "access.jwks", "log", "otlp"]
            .contains(&key.as_str())
    }) {
        let name = key.rsplit('.').next().unwrap();
        let defines = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{name} = "));
        let wallet = key.contains("wallets[0]") && DEFAULTS.contains(&format!("{name} = "));
        let at = lines.iter().position(|line| defines(line));
        let comment =
            at.is_some_and(|at| lines[at - 1].starts_with("# ") && lines[at - 1].ends_with(['.', ')', '_', '-', '/']));
        assert!(wallet || comment, "{key} is not explained in default.toml");
    }
}

#[test]
fn every_number_in_the_built_in_file_tells_its_unit_or_what_it_counts() {
    let lines: Vec<_> = DEFAULTS.lines().collect();
    let numbers = lines.windows(2).filter(|pair| pair[1].split_once(" = ").is_some_and(|(_, v)| v.parse::<u64>().is_ok()));
    let mut seen = 0;
    for pair in numbers {
        let words = ["Milliseconds", "Seconds", "bytes", "connections", "Requests", "commit"];
        assert!(words.iter().any(|word| pair[0].contains(word)), "{}", pair[1]);
        seen += 1;
    }
    assert_eq!(seen, 19);
}

#[test]
fn a_file_lies_over_the_defaults_and_the_environment_over_both() {
    let file = "[server]\nheartbeat_ms = 2000\ndrain_ms = 1\n";
    let config = with(file, &[("BALANCE_GATEWAY__SERVER__DRAIN_MS", "2"), ("BALANCE_GATEWAY_CONFIG", "x")]).unwrap();
    assert_eq!((config.server.heartbeat_ms, config.server.drain_ms, config.server.auth_timeout_ms), (2000, 2, 10_000));
}

#[test]
fn variables_hold_every_kind_of_value() {
    let text = format!("{ACCOUNT}{KEY}");
    let env = [
        ("BALANCE_GATEWAY__SERVER__LISTEN", "[::1]:7000"),
        ("BALANCE_GATEWAY__SERVER__ALLOWED_ORIGINS", "https://a.example, https://B.example"),
        ("BALANCE_GATEWAY__SERVER__ADMIN_TOKEN", "true"),
        ("BALANCE_GATEWAY__ACCESS__ISSUER", "0123"),
        ("BALANCE_GATEWAY__ACCESS__KEYS__0__SECRET", "12345678901234567890123456789012.0"),
        ("BALANCE_GATEWAY__ACCOUNTS__0__ENABLED", "false"),
        ("BALANCE_GATEWAY__ACCOUNTS__0__OWNERS", "[\"a,b\", \"c\"]"),
        ("BALANCE_GATEWAY__ACCOUNTS__0__OPTIONS__DEPTH", "9"),
        ("BALANCE_GATEWAY__STATE_DIR", "/var/lib/x"),
    ];
    let config = with(&text, &env).unwrap();
    assert_eq!(config.server.listen.to_string(), "[::1]:7000");
    assert_eq!(config.server.allowed_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.server.admin_token.unwrap().expose_secret(), "true");
    assert_eq!(config.access.issuer.as_deref(), Some("0123"), "digits stay the text they are");
    let secret = config.access.keys[0].secret.as_ref().unwrap();
    assert_eq!(secret.expose_secret(), "12345678901234567890123456789012.0");
    assert_eq!(config.access.keys[0].algorithm, "HS256", "the rest of the list's entry stays");
    let account = &config.accounts[0];
    assert!(!account.enabled);
    assert_eq!(account.owners, ["a,b", "c"]);
    assert_eq!(account.spec.options.reader().integer("depth", 1, 1..=9), 9);
    assert_eq!(config.state_dir, Some(PathBuf::from("/var/lib/x")));
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn whole_lists_of_tables_can_come_from_a_variable() {
    let accounts = r#"[{ id = "x", venue = "toybox", credentials = { api_key = { env = "K" } } }]"#;
    let config = with(ACCOUNT, &[("BALANCE_GATEWAY__ACCOUNTS", accounts), ("K", "MARKER")]).unwrap();
    assert_eq!(config.accounts.iter().map(|a| &*a.id).collect::<Vec<_>>(), ["x"]);
    let variable = "BALANCE_GATEWAY__ACCOUNTS";
    one("", &[(variable, "[{ id = \"MARKER")], "accounts", "(set by BALANCE_GATEWAY__ACCOUNTS)");
    one("", &[(variable, "1\nlog = \"MARKER\"")], "accounts", "on one line");
    one("", &[(variable, "{ a = 1 }")], "accounts", "wants a list of tables");
}

#[test]
fn a_variable_that_names_no_key_is_refused() {
    let name = "BALANCE_GATEWAY__SERVER__HEARTBEAT";
    one("", &[(name, "MARKER")], "server.heartbeat", &format!("did you mean \"heartbeat_ms\"? (set by {name})"));
    one("", &[("BALANCE_GATEWAY__SERVERS__X", "MARKER")], "servers", "(set by BALANCE_GATEWAY__SERVERS__X)");
    one("", &[("BALANCE_GATEWAY__SERVER", "MARKER")], "server", "wants a table of keys");
    let odd = ["BALANCE_GATEWAY__", "BALANCE_GATEWAY__0__X", "BALANCE_GATEWAY__SERVER____X", "BALANCE_GATEWAY__A.B"];
    for name in odd.into_iter().chain(["BALANCE_GATEWAY__ACCOUNTS__99999999999__ID", "BALANCE_GATEWAY__ACCOUNTS__10000"]) {
        one("", &[(name, "MARKER")], name, "is no key");
    }
}

#[test]
fn two_variables_that_set_the_same_are_refused() {
    let (outer, inner) = ("BALANCE_GATEWAY__ACCOUNTS", "BALANCE_GATEWAY__ACCOUNTS__0__ID");
    one("", &[(outer, "[]"), (inner, "x")], inner, outer);
    one(
        "",
        &[("BALANCE_GATEWAY__LOG__LEVEL", "info"), ("BALANCE_GATEWAY__log__level", "info")],
        "BALANCE_GATEWAY__log__level",
        "too",
    );
}

#[test]
fn a_gap_in_a_numbered_list_is_told() {
    let env =
        [("BALANCE_GATEWAY__ACCESS__KEYS__1__ALGORITHM", "HS256"), ("BALANCE_GATEWAY__ACCESS__KEYS__1__SECRET", "MARKER")];
    one("", &env, "access.keys[0]", "number them from 0");
}

#[test]
fn everything_wrong_is_told_at_once_and_in_order() {
    let text = r#"
        stat_dir = "x"
        [server]
        listen = "localhost:8080"
        heartbeat_ms = "15 s"
        drain_ms = -1
        max_connections = 0.5
        allowed_origins = "https://a"
        [access]
        accounts_claim = ""
        [[access.keys]]
        algorithm = "HS256"
        secret = { env = "UNSET_VARIABLE" }
        [log]
        level = "balance=MARKER"
        format = "yaml"
        [[accounts]]
        id = "toy main"
        venue = "toybx"
        owner = ["alice"]
        owners = ["a", 7, ""]
        ws_url = "https://MARKER"
        rest_url = "https://k:MARKER@host"
        enabled = "yes"
        wallets = [{ adress = "a" }, 5, { address = "b", assets = [] }]
    "#;
    let found: Vec<_> = problems(text, &[]).into_iter().map(|(key, _)| key).collect();
    let wanted = [
        "server.listen",
        "server.allowed_origins",
        "server.heartbeat_ms",
        "server.max_connections",
        "server.drain_ms",
        "access.accounts_claim",
        "access.keys[0].secret",
        "accounts[0].id",
        "accounts[0].venue",
        "accounts[0].owners[1]",
        "accounts[0].owners[2]",
        "accounts[0].enabled",
        "accounts[0].ws_url",
        "accounts[0].rest_url",
        "accounts[0].wallets[1]",
        "accounts[0].wallets[0].address",
        "accounts[0].wallets[0].adress",
        "accounts[0].wallets[2].assets",
        "accounts[0].owner",
        "log.level",
        "log.format",
        "stat_dir",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn one_mistake_of_an_account_hides_no_other() {
    let keys = |text: &str| problems(text, &[]).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    let account = ACCOUNT.replace("\"MARKER\"", "{ file = \"/nowhere/x\" }");
    let secret = "accounts[0].credentials.api_key";
    assert_eq!(keys(&account.replace("toy-main", "a b")), ["accounts[0].id", secret]);
    let venue = format!("{}owners = \"bob\"\n", account.replace("toybox", "toybx"));
    assert_eq!(keys(&venue), ["accounts[0].venue", "accounts[0].owners", secret]);
    assert_eq!(keys(&format!("{account}options = {{ depth = 0 }}\n")), [secret, "accounts[0].options.depth"]);
    let unset = ACCOUNT.replace("\"MARKER\"", "{ env = \"UNSET\" }").replace("toy-main", "a b");
    assert_eq!(keys(&format!("{unset}options = {{ depth = 0 }}\n")), ["accounts[0].id", secret, "accounts[0].options.depth"]);
    let other = ACCOUNT.replace("toy-main", "a b").replace("api_key", "api_kee");
    assert_eq!(keys(&other), ["accounts[0].id", "accounts[0].credentials.api_key"]);
    let table = ACCOUNT.replace("{ api_key = \"MARKER\" }", "\"MARKER\"");
    assert_eq!(keys(&table), ["accounts[0].credentials"], "what is no table is told once");
}

#[test]
fn an_unreadable_key_hides_neither_a_twin_nor_a_warning() {
    let unreadable = "[[access.keys]]\nalgorithm = \"HS256\"\nsecret = { file = \"/nowhere/x\" }\n";
    let short = KEY.replace("MARKER-0123456789abcdef0123456789", "MARKER");
    let text = format!("{unreadable}{short}kid = \"a\"\n{KEY}kid = \"a\"\n{unreadable}kid = \"a\"\n");
    let errors = with(&text, &[]).unwrap_err();
    let keys: Vec<_> = errors.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["access.keys[0].secret", "access.keys[3].secret", "access.keys[2].kid", "access.keys[3].kid"]);
    let [warning] = &errors.warnings[..] else { panic!("{:?}", errors.warnings) };
    assert!(warning.starts_with("access.keys[1].secret: is shorter than 32 bytes"), "{warning}");
    let none = with("[access.jwks]\nurl = \"x\"\n", &[]).unwrap_err();
    assert_eq!(none.warnings, Vec::<String>::new(), "keys that are not understood may be good ones");
}

#[test]
fn a_problem_names_what_was_wanted_and_what_is_near() {
    one("[server]\nheartbeat_ms = 15.5", &[], "server.heartbeat_ms", "an integer from 1000 to 300000, not a number with a fr");
    one("[server]\nheartbeat_ms = 15", &[], "server.heartbeat_ms", "from 1000 to 300000, not 15");
    one("[server]\nheartbeat_ms = \"15000\"", &[], "server.heartbeat_ms", "not a text");
    one("[server]\nadmin_listn = 1", &[], "server.admin_listn", "did you mean \"admin_listen\"?");
    one("[sever]\nlisten = \"MARKER\"", &[], "sever", "did you mean \"server\"?");
    one("server = 3", &[], "server", "wants a table of keys, not an integer");
    one("accounts = { a = 1 }", &[], "accounts", "wants a list of tables, not a table");
    one("[log]\nlevel = 3", &[], "log.level", "wants a text in quotes, not an integer");
    one("[access]\nissuer = \"\"", &[], "access.issuer", "is empty");
    let unknown = ACCOUNT.replace("toybox", "pupets");
    one(&unknown, &[], "accounts[0].venue", "did you mean \"puppets\"?");
    one(&ACCOUNT.replace("toybox", "bank"), &[], "accounts[0].venue", "unknown venue; known are toybox, puppets");
    one("[log]\nfoo = 1", &[], "log.foo", "unknown key; known are level, format");
}

#[test]
fn published_keys_come_encrypted_or_from_this_machine() {
    let url = |url: &str| with(&format!("[access.jwks]\nurl = \"{url}\"\n"), &[]);
    for good in ["https://id.example.com/jwks.json", "http://127.0.0.1:8/j", "http://localhost/j", "http://[::1]:9/j"] {
        let jwks = url(good).unwrap().access.jwks.unwrap();
        assert_eq!(jwks.source, access::JwksSource::Url(good.to_owned()));
        assert_eq!((jwks.refresh_seconds, jwks.min_refetch_seconds), (300, 30));
    }
    for bad in [
        "http://id.example.com/MARKER",
        "x",
        "ftp://localhost/",
        "https://MARKER:x@id.example.com/",
        "http://127.evil.example/",
    ] {
        one(&format!("[access.jwks]\nurl = \"{bad}\""), &[], "access.jwks.url", "wants an https:// address");
    }
    let both = "[access.jwks]\nurl = \"https://id.example.com/\"\nfile = \"/x\"";
    one(both, &[], "access.jwks.file", "keep one of them");
}

#[test]
fn a_file_of_published_keys_is_looked_at_when_it_is_configured() {
    let files = Files::new();
    for (content, part) in [
        ("MARKER", "no JSON object with a list `keys`"),
        ("{\"keys\": []}", "no public key"),
        ("{\"keys\": [{\"kty\": \"oct\", \"k\": \"MARKER\"}]}", "no public key"),
        (&" ".repeat(65_537), "larger than 65536 bytes"),
    ] {
        let path = files.put("jwks.json", content);
        one(&format!("[access.jwks]\nfile = \"{}\"", path.display()), &[], "access.jwks.file", part);
    }
    one("[access.jwks]\nfile = \"/nowhere/jwks.json\"", &[], "access.jwks.file", "cannot be read");
}

#[test]
fn a_certificate_and_its_key_must_be_there_and_belong_together() {
    let files = Files::new();
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (one_pair, other) = (make(), make());
    let cert = files.put("cert.pem", one_pair.cert.pem());
    let key = files.put("key.pem", one_pair.signing_key.serialize_pem());
    let wrong = files.put("wrong.pem", other.signing_key.serialize_pem());
    let tls = |section: &str, cert: &PathBuf, key: &PathBuf| {
        format!("[server.{section}]\ncert_file = \"{}\"\nkey_file = \"{}\"", cert.display(), key.display())
    };
    let config = with(&tls("tls", &cert, &key), &[]).unwrap();
    assert_eq!(config.server.tls, Some(server::TlsFiles { cert_file: cert.clone(), key_file: key.clone() }));
    assert_eq!(config.server.admin_tls, None);
    one(&tls("admin_tls", &cert, &wrong), &[], "server.admin_tls.cert_file", "does not belong to the certificate");
    one(&tls("tls", &key, &key), &[], "server.tls.cert_file", "holds no certificate");
    one(&tls("tls", &cert, &cert), &[], "server.tls.cert_file", "private key");
    one("[server.tls]\ncert_file = \"x\"", &[], "server.tls.key_file", "is missing");
    let root = |path: &PathBuf| format!("[upstream]\nca_file = \"{}\"", path.display());
    assert_eq!(with(&root(&cert), &[]).unwrap().upstream_ca_file, Some(cert));
    one(&root(&key), &[], "upstream.ca_file", "holds no certificate");
    one("[upstream]\nverify = false", &[], "upstream.verify", "unknown key");
}

#[test]
fn bad_toml_is_told_with_its_place_and_without_its_line() {
    one("# é\n\n[server]\nx = \"ü\" MARKER", &[], "line 4, column 9", "is not TOML");
    one("secret = MARKER", &[], "line 1, column 10", "is not TOML");
    one("a = 1\na = \"MARKER\"", &[], "line 2, column 1", "duplicate key");
    one("secret = \"MARKER", &[], "line 1, column 17", "is not TOML");
    one("x = 99999999999999999999", &[], "line 1, column 5", "is not TOML");
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let files = Files::new();
    let missing = files.0.path().join("none.toml");
    let errors = Config::load_with(Some(&missing), [], TOYS).unwrap_err();
    assert_eq!(errors.problems[0].key, missing.display().to_string());
    assert!(errors.problems[0].message.contains("cannot be read (no such file)"), "{errors}");
    let binary = files.put("binary.toml", [0xff, 0xfe]);
    assert!(Config::load_with(Some(&binary), [], TOYS).unwrap_err().to_string().contains("UTF-8"));
    let folder = Config::load_with(Some(files.0.path()), [], TOYS).unwrap_err().to_string();
    assert!(folder.contains("cannot be read (is a directory); give the file; a container engine"), "{folder}");
}

#[test]
fn quoted_keys_cannot_reach_into_other_sections() {
    for text in ["\"server.drain_ms\" = 1", "\"accounts[9999999999]\" = 1", "\"\" = 1"] {
        let found = problems(text, &[]);
        assert!(found[0].1.contains("keys hold letters"), "{found:?}");
    }
    one("[server]\n\"a.b\" = 1", &[], "server.a.b", "unknown key");
}

#[test]
fn a_misspelt_level_is_no_silent_log() {
    for level in ["inof", "info,balance_gateway", "a=loud", "info,,", "a=b=", "info debug"] {
        one(&format!("[log]\nlevel = {level:?}"), &[], "log.level", "wants error, warn");
    }
    for level in ["off", "WARN", "info,balance_gateway::venue=debug", "warn,[conn{id=7}]=trace"] {
        assert_eq!(with(&format!("[log]\nlevel = {level:?}"), &[]).unwrap().log.level, level);
    }
}

#[test]
fn both_listeners_need_a_port_each() {
    one("[server]\nadmin_listen = \"127.0.0.1:8080\"", &[], "server.admin_listen", "same as server.listen");
    assert!(with("[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"", &[]).is_ok());
}

#[test]
fn an_origin_is_scheme_and_host_alone() {
    for origin in ["*", "https://*.example.com", "app.example.com", "https://a/", "https://", "null"] {
        one(&format!("[server]\nallowed_origins = [{origin:?}]"), &[], "server.allowed_origins[0]", "without a path");
    }
}

#[test]
fn a_secret_comes_from_the_text_a_variable_or_a_file() {
    let files = Files::new();
    let path = files.put("key", "from-file\r\n");
    let account = |secret: &str| ACCOUNT.replace("\"MARKER\"", secret);
    let read = |secret: &str| {
        let config = with(&account(secret), &[("K", "from-env")]).unwrap();
        config.accounts[0].spec.credentials.get("api_key").unwrap().expose_secret().to_owned()
    };
    assert_eq!(read("\"inline\""), "inline");
    assert_eq!(read("{ env = \"K\" }"), "from-env");
    assert_eq!(read(&format!("{{ file = {path:?} }}")), "from-file");
    files.put("key", "two\n\n");
    assert_eq!(read(&format!("{{ file = {path:?} }}")), "two\n", "one newline is the editor's, a second is the secret's");
}

#[test]
fn a_secret_that_cannot_be_read_names_its_key_and_cure() {
    let files = Files::new();
    let (empty, binary) = (files.put("empty", "\n"), files.put("binary", [0xff]));
    let large = files.put("large", "MARKER".repeat(20_000));
    let missing = files.0.path().join("missing");
    let cases = [
        ("\"\"".to_owned(), "is empty; give the secret"),
        ("5".to_owned(), "wants a secret"),
        ("{ env = \"UNSET\" }".to_owned(), "UNSET is not set; set it"),
        ("{ env = \"BLANK\" }".to_owned(), "BLANK is empty"),
        ("{ evn = \"MARKER\" }".to_owned(), "wants a secret"),
        ("{ env = \"A\", file = \"MARKER\" }".to_owned(), "wants a secret"),
        ("{ file = 5 }".to_owned(), "wants a secret"),
        ("{}".to_owned(), "wants a secret"),
        (format!("{{ file = {missing:?} }}"), "cannot be read (no such file)"),
        (format!("{{ file = {empty:?} }}"), "is empty; put the secret into it"),
        (format!("{{ file = {binary:?} }}"), "is not UTF-8"),
        (format!("{{ file = {large:?} }}"), "is larger than"),
    ];
    for (secret, part) in cases {
        let text = ACCOUNT.replace("\"MARKER\"", &secret);
        one(&text, &[("BLANK", "")], "accounts[0].credentials.api_key", part);
        let text = KEY.replace("\"MARKER-0123456789abcdef0123456789\"", &secret);
        one(&text, &[("BLANK", "")], "access.keys[0].secret", part);
    }
}

#[test]
fn a_rotated_secret_is_found_by_reading_again() {
    let files = Files::new();
    let path = files.put("key", "first");
    let config = with(&ACCOUNT.replace("\"MARKER\"", &format!("{{ file = {path:?} }}")), &[]).unwrap();
    let account = &config.accounts[0];
    assert!(!account.spec.credentials.replace(account.read_secrets().unwrap()), "nothing has changed yet");
    files.put("key", "second");
    assert!(account.spec.credentials.replace(account.read_secrets().unwrap()));
    assert_eq!(account.spec.credentials.get("api_key").unwrap().expose_secret(), "second");
    fs::remove_file(path).unwrap();
    let problems = account.read_secrets().unwrap_err();
    assert_eq!(problems[0].key, "credentials.api_key");
}

#[test]
fn no_form_of_the_configuration_shows_a_secret() {
    let text = format!("{ACCOUNT}{KEY}[server]\nadmin_token = {{ env = \"T\" }}");
    let config = with(&text, &[("T", "MARKER")]).unwrap();
    assert!(!format!("{config:?} {config:#?}").contains("MARKER"));
}

#[test]
fn files_that_everybody_can_read_are_warned_of() {
    let files = Files::new();
    let path = files.put("gateway.toml", ACCOUNT);
    let warnings = || Config::load_with(Some(&path), [], TOYS).unwrap().warnings;
    let told = |part: &str| warnings().iter().any(|w| w.contains("chmod 600") && w.contains(part));
    assert!(!told(""));
    files.mode("gateway.toml", 0o644);
    assert!(told("accounts[0].credentials.api_key: stands in"));
    let secret = files.put("key", "x");
    files.put("gateway.toml", ACCOUNT.replace("\"MARKER\"", &format!("{{ file = {secret:?} }}")));
    files.mode("gateway.toml", 0o644);
    assert!(!told(""), "nothing secret stands in the file");
    files.mode("key", 0o604);
    assert!(told("accounts[0].credentials.api_key: every user can read"));
}

#[test]
fn weak_access_is_warned_of() {
    let warnings = |text: &str| with(text, &[]).unwrap().warnings.join("\n");
    assert!(warnings(ACCOUNT).contains("nobody can log in"));
    let short = KEY.replace("MARKER-0123456789abcdef0123456789", "MARKER");
    assert!(warnings(&short).contains("access.keys[0].secret: is shorter than 32 bytes"));
    assert!(!warnings(&short).contains("MARKER"));
    assert_eq!(warnings(KEY), "");
}

#[test]
fn problems_of_a_key_carry_their_full_name() {
    one(&KEY.replace("HS256", "HS255"), &[], "access.keys[0].algorithm", "use one of HS256");
    one(&KEY.replace("HS256", "RS256"), &[], "access.keys[0].public_key", "is missing");
    one(&KEY.replace("algorithm = \"HS256\"", ""), &[], "access.keys[0].algorithm", "is missing");
    one(&format!("{KEY}{KEY}kdi = \"a\""), &[], "access.keys[1].kdi", "\"kid\"?");
    one(&format!("{KEY}kid = \"a\"\n{KEY}kid = \"a\""), &[], "access.keys[1].kid", "same kid");
    let two = format!("{}{}", KEY.replace("HS256", "HS255"), KEY.replace("\"MARKER-", "\"").replace('"', "'"));
    one(&two, &[], "access.keys[0].algorithm", "use one of");
}

#[test]
fn an_account_takes_what_is_given_and_the_venues_own_for_the_rest() {
    let config = with(ACCOUNT, &[]).unwrap();
    let spec = &config.accounts[0].spec;
    assert_eq!((spec.ws_url.as_str(), spec.rest_url.as_str()), ("wss://toybox.example/ws", "https://toybox.example"));
    assert_eq!((&*spec.id, config.accounts[0].venue.name, config.accounts[0].enabled), ("toy-main", "toybox", true));
    assert!(config.accounts[0].owners.is_empty() && spec.wallets.is_empty());
    let more = format!(
        "{ACCOUNT}ws_url = \"ws://127.0.0.1:1/ws/\"\nrest_url = \"http://[::1]:2/api/\"\nowners = [\"alice\"]\n\
         wallets = [{{ address = \"0x1\" }}, {{ address = \"7x\", assets = [\"USDC\"] }}]\noptions = {{ depth = 3 }}\n"
    );
    let config = with(&more, &[]).unwrap();
    let spec = &config.accounts[0].spec;
    assert_eq!((spec.ws_url.as_str(), spec.rest_url.as_str()), ("ws://127.0.0.1:1/ws/", "http://[::1]:2/api"));
    let wallet = |address: &str, assets: Option<Vec<String>>| WalletSpec { address: address.into(), assets };
    assert_eq!(spec.wallets, [wallet("0x1", None), wallet("7x", Some(vec!["USDC".into()]))]);
    assert_eq!(config.accounts[0].owners, ["alice"]);
}

#[test]
fn the_venues_own_problems_carry_the_accounts_place() {
    let text = format!("{ACCOUNT}{}options = {{ dept = 3 }}\n", ACCOUNT.replace("toy-main", "b").replace("api_key", "api_kee"));
    let found: Vec<_> = problems(&text, &[]).into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, ["accounts[1].options.dept", "accounts[1].credentials.api_key"]);
}

#[test]
fn two_accounts_cannot_share_an_id() {
    one(&format!("{ACCOUNT}{ACCOUNT}"), &[], "accounts[1].id", "accounts[0] has the same id");
}

#[test]
fn an_id_has_few_characters() {
    for id in ["a b", "a/b", "ü", "*", &"a".repeat(65)] {
        one(&ACCOUNT.replace("toy-main", id), &[], "accounts[0].id", "wants 1 to 64");
    }
    assert!(with(&ACCOUNT.replace("toy-main", &"A.z_0-".repeat(10)), &[]).is_ok());
}

#[test]
fn a_disabled_account_only_warns_of_what_it_misses() {
    let disabled = format!("{ACCOUNT}enabled = false\n");
    let missing_file = disabled.replace("\"MARKER\"", "{ file = \"/nowhere/MARKED\" }");
    let unset = disabled.replace("\"MARKER\"", "{ env = \"UNSET\" }");
    for text in [disabled.replace("api_key", "api_kee"), missing_file, unset] {
        let warnings = with(&text, &[]).unwrap().warnings;
        let told = warnings.iter().filter(|w| w.starts_with("accounts[0].credentials.api_key"));
        assert_eq!(told.filter(|w| w.ends_with("(the account is disabled)")).count(), 1, "{warnings:?}");
    }
    one(&disabled.replace("toy-main", "a b"), &[], "accounts[0].id", "wants 1 to 64");
}

#[test]
fn an_address_needs_the_right_scheme_and_no_secrets() {
    let ws = ["https://h", "h:1", "wss://", "", "wss://u:MARKER@h/ws", "wss://h/ws#MARKER"];
    for url in ws {
        let found = problems(&format!("{ACCOUNT}ws_url = {url:?}"), &[]);
        assert_eq!((found.len(), found[0].0.as_str()), (1, "accounts[0].ws_url"), "{url}");
    }
    for url in ["wss://h", "https://h/?key=MARKER", "https://MARKER@h"] {
        let found = problems(&format!("{ACCOUNT}rest_url = {url:?}"), &[]);
        assert_eq!((found.len(), found[0].0.as_str()), (1, "accounts[0].rest_url"), "{url}");
    }
}

#[test]
fn plain_text_over_a_network_is_warned_of() {
    let told = |url: &str| {
        let config = with(&format!("{KEY}{ACCOUNT}ws_url = {url:?}"), &[]).unwrap();
        config.warnings.iter().any(|w| w.starts_with("accounts[0].ws_url: ws://"))
    };
    assert!(told("ws://venue.example/ws") && told("ws://10.0.0.1/ws"));
    assert!(!told("ws://127.0.0.1:1") && !told("ws://localhost:1") && !told("ws://[::1]:1") && !told("wss://venue.example"));
}

#[test]
fn the_example_for_production_is_valid() {
    static VENUES_AS_TOYS: LazyLock<Vec<Venue>> =
        LazyLock::new(|| VENUES.iter().map(|venue| Venue { connect: |_, _| Ok(Arc::new(Toy)), ..*venue }).collect());
    let files = Files::new();
    for name in ["admin_token", "bfx_api_key", "bfx_api_secret", "moon_api_key", "moon_api_secret"] {
        files.put(name, "secret\n");
    }
    files.put("issuer.pem", include_str!("../access/fixtures/p256.pub.pem"));
    let text = include_str!("../../config/production.toml");
    let path = files.put("production.toml", text.replace("/run/secrets", &files.0.path().display().to_string()));
    let config = Config::load_with(Some(&path), [], &VENUES_AS_TOYS).unwrap();
    assert_eq!(config.accounts.len(), 2);
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn errors_display_one_line_each_under_a_heading() {
    let errors = with("a = 1\nb = 2", &[]).unwrap_err();
    let lines: Vec<_> = errors.to_string().lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("2 problems in the configuration ("), "{lines:?}");
    assert!(lines[1].starts_with("  a: unknown key") && lines[2].starts_with("  b: unknown key"), "{lines:?}");
}

#[test]
fn traces_want_an_address_and_keep_their_headers_secret() {
    let config = |text: &str| with(&format!("{KEY}[otlp]\n{text}"), &[("TOKEN", "MARKER")]);
    assert!(config("").unwrap().otlp.is_none(), "off by default");
    let with_header = "headers = { Authorization = { env = \"TOKEN\" } }\n";
    let near = config(&format!("endpoint = \"http://[::1]:4318/v1/traces\"\n{with_header}")).unwrap();
    let otlp = near.otlp.as_ref().unwrap();
    assert_eq!((otlp.sample_one_in, otlp.headers.contains_key("authorization")), (100, true));
    assert!(!format!("{near:?}").contains("MARKER"));
    let warned = |text: &str| config(text).unwrap().warnings.iter().any(|warning| warning.contains("otlp.headers"));
    assert!(!warned(&format!("endpoint = \"https://otel.example/v1/traces\"\n{with_header}")));
    assert!(warned(&format!("endpoint = \"http://otel.example/v1/traces\"\n{with_header}")));
    for wrong in ["otel:4318", "http://otel.example", "grpc://otel.example/x", "https://u:p@otel.example/v1/traces"] {
        one(&format!("{KEY}[otlp]\nendpoint = \"{wrong}\"\n"), &[], "otlp.endpoint", "wants an http:// or https:// address");
    }
    one(&format!("{KEY}[otlp]\nheaders = {{ a = \"MARKER\" }}\n"), &[], "otlp.endpoint", "is missing");
    let odd = "[otlp]\nendpoint = \"http://[::1]/v1/traces\"\nheaders = { \"a b\" = \"MARKER\" }\n";
    one(&format!("{KEY}{odd}"), &[], "otlp.headers.a b", "is no name of an HTTP header");
}

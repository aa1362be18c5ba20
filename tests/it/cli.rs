//! Exit codes, streams and messages of the commands, and that no secret appears in any of them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use tempfile::TempDir;

/// Stands in files and variables as the secret; must appear nowhere.
const SECRET: &str = "MARKER-0123456789abcdef0123456789";

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the program with exactly these variables.
fn run(args: &[&str], env: &[(&str, &str)]) -> Ran {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_balance-gateway"))
        .args(args)
        .env_clear()
        .envs(env.iter().copied())
        .output()
        .expect("the program was built");
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(!out.contains("MARKER") && !err.contains("MARKER"), "{args:?} shows a secret: {out}{err}");
    Ran { code: status.code(), out, err }
}

fn file(content: &str) -> (TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    (dir, path)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are ASCII")
}

fn key() -> String {
    format!("[[access.keys]]\nalgorithm = \"HS256\"\nkid = \"dev\"\nsecret = \"{SECRET}\"\n")
}

#[test]
fn a_wrong_command_line_exits_64() {
    let wrong: [&[&str]; 9] = [
        &[],
        &["serv"],
        &["serve", "--port", "1"],
        &["token"],
        &["token", "--sub", "a", "--ttl", "soon"],
        &["token", "--sub", "a", "--ttl", "0s"],
        &["health", "--url", "ftp://x/"],
        &["--log-format", "xml", "check-config"],
        &["--log-level", "a=b=c", "check-config"],
    ];
    for args in wrong {
        let ran = run(args, &[]);
        assert_eq!(ran.code, Some(64), "{args:?} {}", ran.err);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_exit_0_on_stdout() {
    for (args, part) in [(["--help"], "check-config"), (["--version"], env!("CARGO_PKG_VERSION"))] {
        let ran = run(&args, &[]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(ran.out.contains(part), "{}", ran.out);
    }
}

#[test]
fn a_good_configuration_checks_to_0() {
    let (_dir, path) = file(&key());
    let ran = run(&["check-config", "--config", text(&path)], &[]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.starts_with("the configuration is valid: accounts 0"), "{}", ran.out);
}

#[test]
fn without_a_file_the_defaults_are_valid_with_a_warning() {
    let ran = run(&["check-config"], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("warning: access.keys") && ran.err.contains("nobody can log in"), "{}", ran.err);
}

#[test]
fn every_command_that_loads_tells_all_problems_and_exits_78() {
    let bad = format!(
        "[server]\nlistn = \"{SECRET}\"\nadmin_token = {{ evn = \"{SECRET}\" }}\nheartbeat_ms = \"{SECRET}\"\n{}\
         [[accounts]]\nid = \"{SECRET} x\"\nvenue = \"{SECRET}\"\ncredentials = {{ api_key = \"{SECRET}\" }}\n",
        key().replace("HS256", "RS256"),
    );
    let (_dir, path) = file(&bad);
    for args in [&["check-config"][..], &["serve"], &["token", "--sub", "alice"]] {
        let ran = run(args, &[("BALANCE_GATEWAY_CONFIG", text(&path))]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(78), ""), "{args:?}");
        let keys = ["server.listn: unknown key", "server.admin_token:", "server.heartbeat_ms:", "access.keys[0].public_key:"];
        for key in keys.into_iter().chain(["accounts[0].id:", "accounts[0].venue:", "6 problems"]) {
            assert!(ran.err.contains(key), "{args:?} lacks {key}: {}", ran.err);
        }
    }
}

#[test]
fn no_broken_file_shows_its_secrets() {
    let pem = format!("-----BEGIN PRIVATE KEY-----\\n{SECRET}\\n-----END PRIVATE KEY-----");
    let cases = [
        format!("x = \"{SECRET}"),
        format!("x = {SECRET}"),
        SECRET.to_owned(),
        format!("[server]\nadmin_token = \"{SECRET}\" \"{SECRET}\""),
        format!("[access]\nkeys = \"{SECRET}\""),
        format!("[[access.keys]]\nalgorithm = \"EdDSA\"\npublic_key = \"{pem}\""),
        format!("accounts = [\"{SECRET}\"]"),
        format!("[log]\nlevel = \"{SECRET}=\""),
        format!("[server]\nlisten = \"{SECRET}\""),
    ];
    for case in cases {
        let (_dir, path) = file(&case);
        let ran = run(&["check-config", "--config", text(&path)], &[]);
        assert_eq!(ran.code, Some(78), "{}", ran.err);
    }
    let variables = ["LISTEN", "HEARTBEAT_MS", "LISTN", "X__Y"].map(|name| format!("BALANCE_GATEWAY__SERVER__{name}"));
    for name in &variables {
        let ran = run(&["check-config"], &[(name, SECRET)]);
        assert_eq!(ran.code, Some(78), "{name}");
        assert!(ran.err.contains(&format!("(set by {name})")), "{}", ran.err);
    }
}

#[test]
fn a_variable_sets_what_the_file_does_not() {
    let ran = run(&["check-config"], &[("BALANCE_GATEWAY__SERVER__LISTEN", "127.0.0.1:9090")]);
    assert_eq!(ran.code, Some(78));
    assert!(ran.err.contains("server.admin_listen: is the same as server.listen"), "{}", ran.err);
}

#[test]
fn a_failed_start_exits_70() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let env = [("BALANCE_GATEWAY__SERVER__LISTEN", &*address), ("BALANCE_GATEWAY__SERVER__ADMIN_LISTEN", "127.0.0.1:0")];
    let ran = run(&["serve", "--log-format", "json"], &env);
    assert_eq!((ran.code, ran.out.as_str()), (Some(70), ""), "{}", ran.err);
    let mut logged = ran.err.lines().filter(|line| line.starts_with('{'));
    assert!(logged.any(|line| line.contains("nobody can log in")), "{}", ran.err);
}

#[test]
fn a_token_is_all_that_goes_to_stdout() {
    let weak = key().replace(SECRET, "MARKER");
    let (_dir, path) = file(&weak);
    let config = text(&path);
    let ran = run(&["token", "--sub", "alice", "--accounts", "bfx-*,p99-main", "--ttl", "15m", "--config", config], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let lines: Vec<_> = ran.out.lines().collect();
    let [token] = lines[..] else { panic!("{}", ran.out) };
    assert_eq!(token.split('.').count(), 3);
    assert!(ran.err.contains("warning: access.keys[0].secret: is shorter"), "{}", ran.err);
    for (kid, code) in [("dev", 0), ("other", 64)] {
        let ran = run(&["token", "--sub", "alice", "--kid", kid, "--config", config], &[]);
        assert_eq!((ran.code, ran.out.is_empty()), (Some(code), code != 0), "{kid} {}", ran.err);
    }
    for args in [["--sub", ""], ["--sub", "al\nice"]] {
        assert_eq!(run(&["token", args[0], args[1], "--config", config], &[]).code, Some(64));
    }
}

#[test]
fn without_a_symmetric_key_the_token_command_tells_the_cure() {
    let pem = concat!(env!("CARGO_MANIFEST_DIR"), "/src/access/fixtures/p256.pub.pem");
    let public = format!("[[access.keys]]\nalgorithm = \"ES256\"\npublic_key = {{ file = \"{pem}\" }}\n");
    for (content, part) in [(public.as_str(), "public keys alone"), ("", "no key is configured")] {
        let (_dir, path) = file(content);
        let ran = run(&["token", "--sub", "alice", "--config", text(&path)], &[]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(78), ""));
        assert!(ran.err.contains(part) && ran.err.contains("algorithm = \"HS256\""), "{}", ran.err);
    }
}

/// Answers one request with `answer` on a free port; gives the address.
fn answering(answer: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health/ready", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut chunk = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            let read = socket.read(&mut chunk).unwrap();
            request.extend_from_slice(&chunk[..read]);
        }
        socket.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, server)
}

#[test]
fn health_is_0_only_for_a_200() {
    let (url, server) = answering("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    assert_eq!(run(&["health", "--url", &url, "--timeout", "1m"], &[]).code, Some(0));
    assert!(server.join().unwrap().starts_with("GET /health/ready HTTP/1."));
    let (url, server) = answering("HTTP/1.0 503 Service Unavailable\r\n\r\n{\"missing\":[\"bfx-main\"]}");
    let ran = run(&["health", "--url", &url, "--timeout", "1m"], &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("503") && ran.err.contains("bfx-main"), "{}", ran.err);
    server.join().unwrap();
    let (url, server) = answering("SSH-2.0-OpenSSH\r\n");
    assert_eq!(run(&["health", "--url", &url, "--timeout", "1m"], &[]).code, Some(1));
    server.join().unwrap();
}

#[test]
fn health_is_1_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let ran = run(&["health", "--url", &url, "--timeout", "1m"], &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("does not answer"), "{}", ran.err);
}

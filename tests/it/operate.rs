//! What an operator does to a running gateway, and what it says when it is given too little: as processes.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

const TOKEN: &str = "operator-MARKER-0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(20);

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_balance-gateway"));
    command.env_clear().stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs until it ends by itself.
fn ended(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("the program was built");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A gateway without accounts, with an operator token, whose log lines can be awaited.
struct Gateway {
    process: Child,
    lines: mpsc::Receiver<serde_json::Value>,
    admin: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn gateway() -> Gateway {
    gateway_with(&[])
}

fn gateway_with(args: &[&str]) -> Gateway {
    let mut process = program()
        .args(["serve", "--log-format", "json"])
        .args(args)
        .env("BALANCE_GATEWAY__SERVER__LISTEN", "127.0.0.1:0")
        .env("BALANCE_GATEWAY__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
        .env("BALANCE_GATEWAY__SERVER__ADMIN_TOKEN", TOKEN)
        .spawn()
        .expect("the program was built");
    let (sender, lines) = mpsc::channel();
    let log = BufReader::new(process.stderr.take().expect("it is piped"));
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            assert!(!line.contains("MARKER"), "the log shows the operator token");
            _ = serde_json::from_str(&line).map(|line| sender.send(line));
        }
    });
    let mut gateway = Gateway { process, lines, admin: String::new() };
    // The address is a field of the event; the test reads no words of it.
    gateway.admin = gateway.line(|line| line["admin"].is_string())["admin"].as_str().unwrap().to_owned();
    gateway
}

impl Gateway {
    /// The next line that passes.
    fn line(&self, passes: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("the line comes");
            if passes(&line) {
                return line;
            }
        }
    }

    /// Status and body of a request to the admin listener.
    fn ask(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
        use std::io::Write;
        let mut socket = std::net::TcpStream::connect(&self.admin).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\nhost: x\r\n{bearer}content-length: {length}\r\n\r\n");
        socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

#[test]
fn an_operator_changes_the_log_level_of_a_running_gateway() {
    let gateway = gateway();
    let level =
        || serde_json::from_str::<serde_json::Value>(&gateway.ask("GET", "/admin/log-level", Some(TOKEN), "").1).unwrap();
    assert_eq!(level()["level"], "info");
    let put = |token, body| gateway.ask("PUT", "/admin/log-level", token, body).0;
    assert_eq!(put(None, "debug"), 401);
    assert_eq!(put(Some("operator-0123456789abcdefghijklm"), "debug"), 401);
    assert_eq!(put(Some(TOKEN), "loud"), 400);
    assert_eq!(level()["level"], "info");
    assert_eq!(put(Some(TOKEN), "info,balance_gateway=debug\n"), 200);
    assert_eq!(level()["level"], "info,balance_gateway=debug");
    // The change itself is logged under the new level; with "error" even that is not, nor is what follows.
    gateway.line(|line| line["was"] == "info");
    assert_eq!(put(Some(TOKEN), "error"), 200);
    assert_eq!(put(Some(TOKEN), "warn"), 200);
    assert_eq!(gateway.line(|line| line["was"].is_string())["was"], "error");
}

#[test]
fn a_reload_names_what_waits_for_the_next_start_and_names_it_each_time() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("gateway.toml");
    let write = |top: &str, server: &str| std::fs::write(&file, format!("{top}\n[server]\n{server}\n")).unwrap();
    write("", "max_connections = 10");
    let gateway = gateway_with(&["--config", file.to_str().unwrap()]);
    let reload = || {
        let (status, body) = gateway.ask("POST", "/admin/reload", Some(TOKEN), "");
        assert_eq!(status, 200, "{body}");
        body
    };
    write("", "max_connections = 20");
    assert!(!reload().contains("next start"));
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key, state) = (dir.path().join("cert.pem"), dir.path().join("key.pem"), dir.path().join("state"));
    std::fs::write(&cert, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let tls = format!("tls = {{ cert_file = {cert:?}, key_file = {key:?} }}");
    write(&format!("state_dir = {state:?}\nwarm_start = true\nlog = {{ level = \"debug\" }}"), &tls);
    for _ in 0..2 {
        let told = reload();
        for key in ["log", "server.tls", "state_dir", "warm_start", "next start"] {
            assert!(told.contains(key), "{key} is not in {told}");
        }
    }
}

#[test]
fn serve_without_any_configuration_says_on_one_screen_what_it_wants() {
    let (code, said) = ended(program().arg("serve"));
    assert_eq!(code, Some(78));
    assert!(said.lines().count() <= 24, "{} lines", said.lines().count());
    for part in ["--config", "[[access.keys]]", "[[accounts]]", "moonbase", "/run/secrets", "check-config", "demo"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
}

#[test]
fn the_configuration_in_the_guide_is_a_valid_one() {
    let (_, said) = ended(program().arg("serve"));
    let dir = tempfile::tempdir().unwrap();
    let pem = concat!(env!("CARGO_MANIFEST_DIR"), "/src/access/fixtures/p256.pub.pem");
    std::fs::copy(pem, dir.path().join("issuer.pem")).unwrap();
    for name in ["api_key", "api_secret"] {
        std::fs::write(dir.path().join(name), "0123456789").unwrap();
    }
    let indented = said.lines().filter(|line| line.starts_with("    ")).collect::<Vec<_>>().join("\n");
    let config = indented.replace("/run/secrets", dir.path().to_str().unwrap()).replace("VENUE", "bitfinex");
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, &config).unwrap();
    let (code, said) = ended(program().args(["check-config", "--config"]).arg(&file));
    assert_eq!(code, Some(0), "{said}\n{config}");
}

/// `serve` with a state directory, on free ports.
fn serve_with_state(state: &std::path::Path) -> (Option<i32>, String) {
    ended(
        program()
            .arg("serve")
            .env("BALANCE_GATEWAY__SERVER__LISTEN", "127.0.0.1:0")
            .env("BALANCE_GATEWAY__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
            .env("BALANCE_GATEWAY__STATE_DIR", state),
    )
}

#[test]
fn a_state_directory_that_cannot_be_written_is_one_sentence_and_70() {
    let dir = TempDir::new().unwrap();
    // A file in the way: refused to every user, where a mode would not stop root.
    let file = dir.path().join("state");
    std::fs::write(&file, "").unwrap();
    let (code, said) = serve_with_state(&file.join("below"));
    let complaint: Vec<_> = said.lines().filter(|line| line.starts_with("balance-gateway: ")).collect();
    assert_eq!(code, Some(70));
    assert!(matches!(complaint[..], [line] if line.contains("state_dir") && line.contains("below")), "{said}");
}

#[test]
fn a_second_gateway_on_a_state_directory_is_refused_until_the_first_is_gone() {
    let dir = TempDir::new().unwrap();
    let at = dir.path().to_str().unwrap();
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, format!("state_dir = {at:?}\n")).unwrap();
    let args = ["--config", file.to_str().unwrap()];
    let first = gateway_with(&args);
    let (code, said) = serve_with_state(dir.path());
    let told: Vec<_> = said.lines().filter(|line| line.starts_with("balance-gateway: ")).collect();
    assert_eq!(code, Some(70), "{said}");
    assert!(matches!(told[..], [line] if line.contains("state_dir") && line.contains(at)), "{said}");
    // Killed, it could tidy nothing up.
    drop(first);
    gateway_with(&args);
}

/// `serve` with these variables beside free ports.
fn serve_with(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = program();
    command.arg("serve").env("BALANCE_GATEWAY__SERVER__LISTEN", "127.0.0.1:0");
    ended(command.env("BALANCE_GATEWAY__SERVER__ADMIN_LISTEN", "127.0.0.1:0").envs(variables.iter().copied()))
}

#[test]
fn a_missing_certificate_is_one_sentence_and_78() {
    let dir = TempDir::new().unwrap();
    let path = |name| dir.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert_key, key_key) = ("BALANCE_GATEWAY__SERVER__TLS__CERT_FILE", "BALANCE_GATEWAY__SERVER__TLS__KEY_FILE");
    // First neither file is there, then the key is missing, then it is something else.
    for (missing, said_of_it) in [(&cert, "no such file"), (&key, "no such file"), (&key, "is it the right file?")] {
        let (code, said) = serve_with(&[(cert_key, &cert), (key_key, &key)]);
        assert_eq!(code, Some(78), "{said}");
        // What everybody can read is warned of besides.
        let problems = said.lines().filter(|line| !line.starts_with("warning: "));
        let told: Vec<_> = problems.filter(|line| line.contains("server.tls")).collect();
        assert!(matches!(told[..], [line] if line.contains(missing) && line.contains(said_of_it)), "{said}");
        if missing == &cert {
            std::fs::write(&cert, certified.cert.pem()).unwrap();
        } else {
            std::fs::write(&key, "no key").unwrap();
        }
    }
    let (code, said) = serve_with(&[(cert_key, &cert)]);
    assert!(code == Some(78) && said.contains("server.tls.key_file: is missing"), "{said}");
}

#[test]
fn a_secret_or_private_key_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: &str, mode| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let check = |mode| {
        let cert = write("cert.pem", &certified.cert.pem(), 0o644);
        let key = write("key.pem", &certified.signing_key.serialize_pem(), mode);
        let token = write("token", TOKEN, mode);
        let tls = format!("[server.tls]\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\n");
        let config = write("gateway.toml", &format!("[server]\nadmin_token = {{ file = \"{token}\" }}\n{tls}"), 0o600);
        let (code, said) = ended(program().args(["check-config", "--config", &config]));
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("MARKER"));
        ["server.admin_token", "server.tls.key_file"].map(|key| said.contains(&format!("{key}: every user can read")))
    };
    assert_eq!(check(0o644), [true, true]);
    assert_eq!(check(0o640), [false, false]);
}

#[test]
fn a_demo_whose_port_is_taken_says_which_and_how_to_choose_another() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for option in ["--port", "--admin-port", "--control-port"] {
        let mut command = program();
        command.arg("demo");
        for other in ["--port", "--admin-port", "--control-port"] {
            command.args([other, &if other == option { address.port() } else { 0 }.to_string()]);
        }
        let (code, said) = ended(&mut command);
        assert_eq!(code, Some(70), "{said}");
        assert!(said.contains(&address.to_string()) && said.contains(option), "{said}");
    }
}

#[test]
fn an_operators_port_in_use_is_one_sentence_and_70() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = serve_with(&[("BALANCE_GATEWAY__SERVER__ADMIN_LISTEN", &address)]);
    let told: Vec<_> = said.lines().filter(|line| line.starts_with("balance-gateway: ")).collect();
    assert_eq!(code, Some(70), "{said}");
    assert!(matches!(told[..], [line] if line.contains("server.admin_listen") && line.contains(&address)), "{said}");
}

//! The commands as an operator runs them: processes, signals, exit codes. No secret may appear in anything they say.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use balance_gateway::sim::SimServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::Client;
use crate::support::process::Process;
use crate::support::world::{TOKEN_SECRET, file, given, http};
use crate::support::{poll, soon};

struct Files {
    path: PathBuf,
    _dir: TempDir,
}

impl Files {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        Self { path, _dir: dir }
    }
    fn arg(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

/// A daemon against one simulated venue, ready.
async fn serving() -> (SimServer, String, Files, Process, (String, String)) {
    serving_with("").await
}

/// The same with these lines in its `[server]` section.
async fn serving_with(server: &str) -> (SimServer, String, Files, Process, (String, String)) {
    let (sim, block) = given("moonbase").start().await;
    let files = Files::new(&file(server, std::slice::from_ref(&block)));
    let mut serve = Process::start(&["serve", "--config", files.arg(), "--log-format", "json"], &[]);
    let addresses = serve.listening().await;
    let url = format!("http://{}/health/ready", addresses.1);
    let http = http();
    let asked = async || http.get(&url).send().await.is_ok_and(|answer| answer.status() == 200).then_some(());
    poll("the daemon is ready", asked).await;
    (sim, block, files, serve, addresses)
}

async fn token(config: &Path, user: &str) -> String {
    let said = Process::start(&["token", "--sub", user, "--config", config.to_str().unwrap()], &[]).ended().await;
    assert_eq!(said.0, Some(0), "{}", said.1);
    said.1.lines().find(|line| line.split('.').count() == 3 && !line.contains(' ')).expect("a token").to_owned()
}

fn hides_secrets(said: &str) {
    for secret in [TOKEN_SECRET, "SECRET", "moonbase-sample-secret", "moonbase-sample-key"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}

#[tokio::test]
async fn serve_ends_with_0_on_a_stop_signal_after_telling_its_clients() {
    for signal in ["TERM", "INT"] {
        let (_sim, _, files, serve, (addr, _)) = serving().await;
        let mut client = Client::login(addr.parse().unwrap(), &token(&files.path, "alice").await).await;
        client.subscribe(json!({})).await;
        serve.signal(signal);
        client.until("draining").await;
        assert_eq!(client.closed().await, Some(4300));
        drop(client);
        let (code, said) = serve.ended().await;
        assert_eq!(code, Some(0), "{said}");
        hides_secrets(&said);
    }
}

#[tokio::test]
async fn the_logs_of_serve_are_one_json_object_a_line() {
    let (sim, _, _files, serve, _) = serving().await;
    sim.fault("garbage").unwrap();
    sim.fault("disconnect").unwrap();
    poll("the account is back", async || (sim.connections() == 1).then_some(())).await;
    serve.signal("TERM");
    let (_, said) = serve.ended().await;
    for line in said.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(entry["level"].is_string() && entry["timestamp"].is_string(), "{line}");
    }
    hides_secrets(&said);
}

#[tokio::test]
async fn a_hangup_reads_the_file_again_without_dropping_clients() {
    let (_sim, block, files, serve, (addr, _)) = serving().await;
    let mut client = Client::login(addr.parse().unwrap(), &token(&files.path, "alice").await).await;
    client.subscribe(json!({})).await;
    std::fs::write(&files.path, "this is no TOML").unwrap();
    serve.signal("HUP");
    let (other, added) = given("bitfinex").start().await;
    std::fs::write(&files.path, file("", &[block, added])).unwrap();
    serve.signal("HUP");
    let snapshot = client.until("snapshot").await;
    assert_eq!(snapshot["reason"], "grant", "{snapshot}");
    client.settle_book("bfx-main", || other.book("bfx-main").unwrap()).await;
    serve.signal("TERM");
    let (code, said) = serve.ended().await;
    assert_eq!(code, Some(0), "{said}");
    hides_secrets(&said);
}

#[tokio::test]
async fn a_port_in_use_ends_with_70_and_one_clear_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let files = Files::new(&file("", &[]).replacen("127.0.0.1:0", &addr.to_string(), 1));
    let (code, said) = Process::start(&["serve", "--config", files.arg()], &[]).ended().await;
    assert_eq!(code, Some(70), "{said}");
    let told: Vec<_> = said.lines().filter(|line| line.contains(&addr.to_string())).collect();
    let [told] = told[..] else { panic!("{said}") };
    assert!(told.contains("server.listen") && told.contains("in use"), "{told}");
    hides_secrets(&said);
}

#[tokio::test]
async fn watch_shows_one_snapshot_and_ends() {
    let (sim, _, files, serve, (addr, _)) = serving().await;
    let (url, token) = (format!("ws://{addr}/v1/ws"), token(&files.path, "alice").await);
    let env = [("BALANCE_GATEWAY_TOKEN", &*token)];
    let (code, said) = Process::start(&["watch", "--url", &url, "--once", "--json"], &env).ended().await;
    assert_eq!(code, Some(0), "{said}");
    let frames: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let snapshot = frames.last().unwrap();
    assert_eq!(snapshot["type"], "snapshot");
    let nonzero = sim.book("moon-main").unwrap().rows.values().filter(|holding| !holding.is_zero()).count();
    assert_eq!(snapshot["balances"].as_array().unwrap().len(), nonzero);
    assert!(!said.contains(&token), "the token is not shown");
    let (code, said) = Process::start(&["watch", "--url", &url, "--once"], &env).ended().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("12850.75") && !said.contains(&token), "{said}");
    let (code, said) = Process::start(&["watch", "--url", &url, "--token", "bad", "--once"], &[]).ended().await;
    assert_eq!(code, Some(70), "{said}");
    serve.signal("TERM");
    assert_eq!(serve.ended().await.0, Some(0));
}

#[tokio::test]
async fn watch_takes_an_address_as_a_browser_has_it_and_says_what_is_wrong_with_another() {
    let (_sim, _, files, serve, (addr, _)) = serving().await;
    let token = token(&files.path, "alice").await;
    let env = [("BALANCE_GATEWAY_TOKEN", &*token)];
    let (code, said) = Process::start(&["watch", "--url", &format!("http://{addr}/"), "--once"], &env).ended().await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = Process::start(&["watch", "--url", "nonsense", "--once"], &env).ended().await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("ws://127.0.0.1:8080/v1/ws"), "{said}");
    // A page, and nothing at all: neither is a socket.
    for path in ["style.css", "ws"] {
        let mut watch = Process::start(&["watch", "--url", &format!("ws://{addr}/{path}"), "--lines"], &env);
        let cure = "is no WebSocket: does the address end with /v1/ws?";
        watch.line("the cure", |line| line.contains(cure).then_some(())).await;
        watch.signal("KILL");
    }
    serve.signal("TERM");
    assert_eq!(serve.ended().await.0, Some(0));
}

#[tokio::test]
async fn health_answers_0_for_a_ready_daemon() {
    let (_sim, _, _files, serve, (_, admin)) = serving().await;
    let url = format!("http://{admin}/health/ready");
    assert_eq!(Process::start(&["health", "--url", &url, "--timeout", "1m"], &[]).ended().await.0, Some(0));
    serve.signal("TERM");
    assert_eq!(serve.ended().await.0, Some(0));
    assert_eq!(Process::start(&["health", "--url", &url, "--timeout", "1m"], &[]).ended().await.0, Some(1));
}

#[tokio::test]
async fn demo_shows_every_venue_to_a_client_with_its_token() {
    let ports = ["--port", "0", "--admin-port", "0", "--control-port", "0"];
    let mut demo = Process::start(&[&["demo"], &ports[..]].concat(), &[]);
    let after = |line: &str, begin: &str| Some(line.split_once(begin)?.1.trim().to_owned());
    let url = demo.line("the address", |line| after(line, "WebSocket ")).await;
    let token = demo.line("the token", |line| after(line, "TOKEN=")).await;
    let addr = url.strip_prefix("ws://").unwrap().strip_suffix("/v1/ws").unwrap().parse().unwrap();
    let mut client = Client::login(addr, &token).await;
    client.subscribe(json!({})).await;
    client.settle("all four are live", |held| held.complete && held.accounts.len() == 4 && held.rows.len() > 15).await;
    client.until("update").await;
    drop(client);
    demo.signal("TERM");
    let (code, said) = demo.ended().await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn simulate_prints_a_configuration_that_serve_takes() {
    let mut simulate = Process::start(&["simulate", "--rate", "0", "--owner", "alice"], &[]);
    let mut text = String::new();
    simulate
        .line("the end of the guide", |line| {
            text.push_str(line);
            text.push('\n');
            line.contains("Ctrl-C").then_some(())
        })
        .await;
    let files = Files::new(&file("", &[text]));
    let (code, said) = Process::start(&["check-config", "--config", files.arg()], &[]).ended().await;
    assert_eq!(code, Some(0), "{said}");
    let mut serve = Process::start(&["serve", "--config", files.arg(), "--log-format", "json"], &[]);
    let (addr, _) = serve.listening().await;
    let mut client = Client::login(addr.parse().unwrap(), &token(&files.path, "alice").await).await;
    client.subscribe(json!({})).await;
    client.settle("all four are live", |held| held.complete && held.accounts.len() == 4).await;
    drop(client);
    for process in [serve, simulate] {
        process.signal("TERM");
        let (code, said) = process.ended().await;
        assert_eq!(code, Some(0), "{said}");
    }
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_clients() {
    // Longer than this test waits for anything.
    let (_sim, _, files, serve, (addr, _)) = serving_with("drain_ms = 300000").await;
    // This client reads nothing, so it never answers the close frame.
    let client = Client::login(addr.parse().unwrap(), &token(&files.path, "alice").await).await;
    serve.signal("TERM");
    serve.signal("INT");
    let (code, said) = soon("the end", serve.ended()).await;
    assert_eq!(code, Some(0), "{said}");
    drop(client);
}

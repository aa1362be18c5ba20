//! Every command, run as a process with known secrets in its file, its environment and its arguments, at the most talkative log level:
//! none of what it says, and of what the gateway answers, may hold one.

use std::path::Path;

use serde_json::json;

use super::super::support::process::Process;
use super::super::support::world::http;
use super::kit::{Client, until};

const KEY: &str = "MARKER-tokens-0123456789abcdef0123456789";
const OPERATOR: &str = "MARKER-operator-0123456789abcdef";
const TRACE: [&str; 4] = ["--log-level", "trace", "--log-format", "json"];

/// The accounts that `simulate` prints, and the secrets in them.
struct Simulated {
    process: Process,
    blocks: String,
    secrets: Vec<String>,
}

impl Simulated {
    async fn start() -> Self {
        let args = [&["simulate", "--rate", "20"][..], &TRACE].concat();
        let mut process = Process::start(&args, &[]);
        let (mut blocks, mut secrets) = (String::new(), Vec::new());
        // What is printed to be pasted holds the simulators' own credentials; what is said after it must not.
        while !process
            .line("the accounts' end", |line| {
                if let Some(list) = line.strip_prefix("credentials = ") {
                    secrets.extend(list.split('"').skip(1).step_by(2).map(str::to_owned));
                }
                if !line.starts_with(['#', '{']) {
                    blocks.push_str(line);
                    blocks.push('\n');
                }
                Some(line.starts_with("# Ctrl-C"))
            })
            .await
        {}
        process.forget();
        assert!(secrets.len() >= 5, "{secrets:?}");
        Self { process, blocks, secrets }
    }

    /// The same venues with credentials that they refuse: sessions that fail, in the ways of each venue.
    fn refused(&self) -> String {
        let mut blocks = self.blocks.replace("id = \"", "id = \"refused-");
        // The tokens of p99 must be tokens to be sent at all; a signature is a secret of its own.
        for secret in &self.secrets {
            let other = match secret.rsplit_once('.') {
                Some((signed, _)) => format!("{signed}.TUFSS0VSLWp3dC1zaWduYXR1cmU"),
                None => format!("MARKER-{secret}"),
            };
            blocks = blocks.replace(&format!("\"{secret}\""), &format!("\"{other}\""));
        }
        blocks
    }
}

/// A configuration with its secrets given in every way there is.
fn configuration(dir: &Path, accounts: &str) -> String {
    std::fs::write(dir.join("operator"), OPERATOR).unwrap();
    let operator = dir.join("operator");
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nadmin_token = {{ file = \"{}\" }}\n\
         [[access.keys]]\nalgorithm = \"HS256\"\nkid = \"first\"\nsecret = {{ env = \"TOKEN_KEY\" }}\n\
         [[access.keys]]\nalgorithm = \"HS256\"\nkid = \"second\"\nsecret = \"MARKER-inline-0123456789abcdef0123456789\"\n{accounts}",
        operator.display()
    )
}

/// What a command says from its start to its end.
async fn said(args: &[&str]) -> String {
    let (_, said) = Process::start(args, &[("TOKEN_KEY", KEY)]).ended().await;
    assert!(!said.is_empty(), "{args:?}");
    said
}

/// Searches for each of the secrets, and for the mark that all made up here hold.
fn search(what: &str, output: &str, secrets: &[String]) {
    for secret in secrets.iter().map(String::as_str).chain(["MARKER", "TUFSS0VSLWp3dC1zaWduYXR1cmU"]) {
        if let Some(at) = output.find(secret) {
            let around: String = output[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
            panic!("{what} shows a secret after: {around}");
        }
    }
}

/// The last part of a token, which makes it good.
fn signature(token: &str) -> String {
    token.rsplit('.').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_says_a_secret_and_no_answer_holds_one() {
    balance_gateway::runtime::install_crypto();
    let simulated = Simulated::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    let accounts = simulated.blocks.clone() + &simulated.refused();
    std::fs::write(&file, configuration(dir.path(), &accounts)).unwrap();
    let config = file.to_str().unwrap();
    let mut secrets: Vec<String> = simulated.secrets.iter().map(|secret| signature(secret)).collect();

    // What is wrong is named by its key.
    search("check-config", &said(&["check-config", "--config", config]).await, &secrets);
    let broken = dir.path().join("broken.toml");
    let spoiled = std::fs::read_to_string(&file).unwrap().replace("api_secret", "api_secrets").replace("kid =", "kidd =");
    for text in [
        spoiled.as_str(),
        &spoiled.replace("secret = \"MARKER", "secret = [\"MARKER"),
        &spoiled.replace("\"MARKER-inline-0123456789abcdef0123456789\"", "[\"MARKER\", {a = \"MARKER\"}]"),
        &spoiled.replace("TOKEN_KEY", "UNSET"),
        &spoiled.replace("] }", ""),
    ] {
        std::fs::write(&broken, text).unwrap();
        search("check-config", &said(&["check-config", "--config", broken.to_str().unwrap()]).await, &secrets);
    }
    search("token", &said(&["token", "--sub", "alice", "--kid", "none", "--config", config]).await, &secrets);
    let token = said(&["token", "--sub", "alice", "--config", config]).await;
    search("token", &token, &secrets);
    let token = token.lines().find(|line| line.split('.').count() == 3 && !line.contains(' ')).unwrap().to_owned();
    secrets.push(signature(&token));

    let args = [&["serve", "--config", config][..], &TRACE].concat();
    let mut serve = Process::start(&args, &[("TOKEN_KEY", KEY)]);
    let (listen, admin) = serve.listening().await;
    let http = http();
    until("good and refused sessions", async || {
        let answer = http.get(format!("http://{listen}/v1/accounts")).bearer_auth(&token).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(!text.contains("TOKEN_INVALID"), "{text}");
        (text.matches("\"state\":\"live\"").count() >= 4 && text.contains("\"auth_failed\"")).then_some(())
    })
    .await;
    for output in answers(&http, &listen, &admin, &token).await {
        search("an answer", &output, &secrets);
    }

    let (url, bad) = (format!("ws://{listen}/v1/ws"), format!("{token}x"));
    let with_password = format!("ws://user:MARKER@{listen}/v1/ws");
    for (url, token) in [(&url, &token), (&url, &bad), (&with_password, &token), (&with_password, &bad)] {
        for more in [&["--once"][..], &["--once", "--json"]] {
            let args = [&["watch", "--url", url, "--token", token][..], more].concat();
            search("watch", &said(&args).await, &secrets);
        }
    }
    for url in [format!("http://{admin}/"), format!("http://user:MARKER@{admin}/?MARKER"), format!("http://MARKER@{listen}/")] {
        search("health", &said(&["health", "--url", &url]).await, &secrets);
    }
    search("health", &said(&["health", "--config", broken.to_str().unwrap()]).await, &secrets);

    serve.signal("TERM");
    let (_, said) = serve.ended().await;
    assert!(said.len() > 1_000, "it logs everything");
    search("serve", &said, &secrets);
    simulated.process.signal("TERM");
    let (_, said) = simulated.process.ended().await;
    search("simulate", &said, &secrets);
}

/// Everything that can be asked, with good and bad credentials.
async fn answers(http: &reqwest::Client, listen: &str, admin: &str, token: &str) -> Vec<String> {
    let bad = format!("{token}x");
    let mut outputs = Vec::new();
    for (method, url, bearer) in [
        ("GET", format!("http://{listen}/v1/balances"), token),
        ("GET", format!("http://{listen}/v1/orders"), token),
        ("GET", format!("http://{listen}/v1/accounts"), &bad),
        ("GET", format!("http://{listen}/v1/stream/balances"), &bad),
        ("GET", format!("http://{listen}/v1/ws?token={token}"), &bad),
        ("GET", format!("http://{admin}/health/ready"), ""),
        ("GET", format!("http://{admin}/metrics"), ""),
        ("GET", format!("http://{admin}/admin/log-level"), OPERATOR),
        ("POST", format!("http://{admin}/admin/reload"), OPERATOR),
        ("POST", format!("http://{admin}/admin/reload"), token),
        ("POST", format!("http://{admin}/admin/revoke"), OPERATOR),
        ("POST", format!("http://{admin}/admin/accounts/bfx-main/resync"), OPERATOR),
        ("POST", format!("http://{admin}/admin/accounts/{OPERATOR}/resync"), OPERATOR),
    ] {
        let request = http.request(reqwest::Method::from_bytes(method.as_bytes()).unwrap(), url).bearer_auth(bearer);
        let answer = request.send().await.unwrap();
        outputs.push(format!("{:?}", answer.headers()));
        outputs.push(answer.text().await.unwrap());
    }
    let mut stream = http.get(format!("http://{listen}/v1/stream/balances")).bearer_auth(token).send().await.unwrap();
    outputs.push(String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()).into_owned());
    let mut client = Client::connect(&format!("ws://{listen}/v1/ws"), &[]).await.unwrap();
    outputs.push(client.ask(json!({"type": token})).await.to_string());
    outputs.push(client.ask(json!({"type": "auth_token", "token": token})).await.to_string());
    outputs.push(client.ask(json!({"type": "subscribe", "channel": "user:balances"})).await.to_string());
    outputs.push(client.frame().await.to_string());
    outputs.push(
        client.ask(json!({"type": "subscribe", "channel": "user:balances", "filter": {"venues": token}})).await.to_string(),
    );
    outputs.push(client.ask(json!({"type": "auth_token", "token": bad})).await.to_string());
    outputs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_shows_the_token_it_prints_and_no_other_secret() {
    balance_gateway::runtime::install_crypto();
    let simulated = Simulated::start().await;
    let mut secrets: Vec<String> = simulated.secrets.iter().map(|secret| signature(secret)).collect();
    let ports = ["--port", "0", "--admin-port", "0", "--control-port", "0"];
    let args = [&["demo"][..], &ports, &TRACE].concat();
    let mut demo = Process::start(&args, &[]);
    let admin = demo.line("the operators' address", |line| {
        let rest = line.strip_prefix("operators   http://")?;
        Some(rest.split('/').next()?.to_owned())
    });
    let admin = admin.await;
    let token = demo.line("the token", |line| line.strip_prefix("TOKEN=").map(str::to_owned)).await;
    for row in ["bitfinex ", "moonbase ", "synthesis ", "p99 "] {
        demo.line("a row of each venue", |line| line.contains(row).then_some(())).await;
    }
    let http = http();
    for path in ["metrics", "health/ready"] {
        let answer = http.get(format!("http://{admin}/{path}")).send().await.unwrap();
        search("an answer", &answer.text().await.unwrap(), &secrets);
    }
    demo.signal("TERM");
    let (code, said) = demo.ended().await;
    assert_eq!(code, Some(0));
    search("demo", &said, &secrets);
    // The token stands in the lines to paste, and nowhere else.
    secrets = vec![signature(&token)];
    let others: String = said.lines().filter(|line| !line.starts_with("TOKEN=")).collect();
    search("demo", &others, &secrets);
}

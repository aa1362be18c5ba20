//! What the commands decide without a process; `tests/it/cli.rs` runs the program itself.

use clap::CommandFactory;

use super::health::{Target, nearby, parse, target};
use super::{Cli, Exit, logs};
use crate::config::AdminDoor;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn a_health_address_is_http_or_https_with_defaults() {
    let plain = |host: &str, port, path: &str| Target { host: host.into(), port, path: path.into(), is_encrypted: false };
    let ready = |host: &str, port| Ok(plain(host, port, "/health/ready"));
    assert_eq!(target("http://127.0.0.1:9090/health/ready"), ready("127.0.0.1", 9090));
    assert_eq!(target("http://gateway"), ready("gateway", 80));
    assert_eq!(target("http://[::1]:9090/"), ready("::1", 9090));
    assert_eq!(target("http://g:1/health/live?x=1"), Ok(plain("g", 1, "/health/live?x=1")));
    let encrypted = Target { is_encrypted: true, ..plain("gateway", 443, "/health/ready") };
    assert_eq!(target("https://gateway"), Ok(encrypted));
    for wrong in ["gateway:9090", "", "ftp://x/", "http://", "https://"] {
        assert!(target(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_listener_on_every_address_is_asked_on_this_machine() {
    let at = |listen: &str, cert_file: Option<&str>| {
        let target = nearby(&AdminDoor { listen: listen.parse().unwrap(), cert_file: cert_file.map(Into::into) });
        (target.host, target.port, target.is_encrypted)
    };
    assert_eq!(at("0.0.0.0:9090", None), ("127.0.0.1".to_owned(), 9090, false));
    assert_eq!(at("[::]:9091", Some("cert.pem")), ("::1".to_owned(), 9091, true));
    assert_eq!(at("192.0.2.7:9090", None), ("192.0.2.7".to_owned(), 9090, false));
}

#[test]
fn an_answer_that_is_no_http_is_no_answer() {
    assert_eq!(parse("HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\nbfx-main"), Some((503, "bfx-main".into())));
    assert_eq!(parse("HTTP/1.0 200 OK\r\n\r\n"), Some((200, String::new())));
    for wrong in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 99\r\n\r\n"] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_level_is_checked_before_anything_starts() {
    assert!(logs::level("info,balance_gateway::venue=debug").is_ok());
    assert!(logs::level("").is_err());
    assert!(logs::level("balance_gateway=loud").is_err());
}

#[test]
fn exits_have_the_documented_numbers() {
    let numbers = [(Exit::Ok, 0), (Exit::No, 1), (Exit::Usage, 64), (Exit::Failed, 70), (Exit::Config, 78)];
    for (exit, number) in numbers {
        assert_eq!(std::process::ExitCode::from(exit), std::process::ExitCode::from(number));
    }
}

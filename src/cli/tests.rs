//! What the commands decide without a process; `tests/it/cli.rs` runs the program itself.

use clap::CommandFactory;

use super::health::{Target, parse, target};
use super::{Cli, Exit, logs};

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn a_health_address_has_defaults_and_may_be_encrypted() {
    let of = |tls, host: &str, port: u16, path: &str| {
        let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Ok(Target { tls, host: host.into(), authority, path: path.into() })
    };
    let ready = |host, port| of(false, host, port, "/health/ready");
    assert_eq!(target("http://127.0.0.1:9090/health/ready"), ready("127.0.0.1", 9090));
    assert_eq!(target("http://gateway"), ready("gateway", 80));
    assert_eq!(target("http://[::1]:9090/"), ready("::1", 9090));
    assert_eq!(target("http://g:1/health/live?x=1"), of(false, "g", 1, "/health/live?x=1"));
    assert_eq!(target("https://gateway:9090/"), of(true, "gateway", 9090, "/health/ready"));
    for wrong in ["gateway:9090", "", "ftp://x/", "http://"] {
        assert!(target(wrong).is_err(), "{wrong}");
    }
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

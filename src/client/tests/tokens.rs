//! Authentication over a connection's life.

use super::*;

#[test]
fn no_token_in_time_closes() {
    let mut c = Client::new();
    assert_eq!((c.pass(9_999), c.closed()), (vec![], None));
    assert_eq!((c.pass(1), c.closed()), (vec![], Some(CloseCode::AuthTimeout)));
}

#[test]
fn a_good_token_is_answered_with_who_and_until_when() {
    let mut c = Client::new();
    let token = c.token("alice", None, 3_600_000);
    let said = c.say(&format!(r#"{{"type":"auth_token","id":"a-1","token":"{token}"}}"#));
    let until = c.b.now.unix.0 + 3_600_000;
    let wanted = serde_json::json!({
        "type": "auth_result", "id": "a-1", "success": true, "user": "alice", "expires_at": until, "heartbeat_ms": 15_000
    });
    assert_eq!((said, c.closed()), (vec![wanted], None));
    assert_eq!(c.session.user().map(|user| &**user), Some("alice"));
}

#[test]
fn a_token_from_the_upgrade_is_answered_alike() {
    let c = Client::new();
    let token = c.token("alice", None, 600_000);
    let identity: Identity = c.deps.access.load().identify(&token, c.b.now.unix).unwrap();
    let mut out = ClientOut::default();
    ClientSession::with_identity(Arc::clone(&c.deps), identity, c.b.now, &mut out);
    assert!(
        out.frames.len() == 1 && out.frames[0].text().starts_with(r#"{"type":"auth_result","success":true,"user":"alice""#)
    );
}

#[test]
fn a_refused_token_is_told_why_and_closes_without_a_part_of_it() {
    let mut c = Client::new();
    let old = c.token("alice", None, 1_000);
    c.b.pass(1_000);
    for (token, code) in [(old.as_str(), "TOKEN_EXPIRED"), ("secret.secret.secret", "TOKEN_INVALID"), ("", "TOKEN_INVALID")] {
        c.session = ClientSession::new(Arc::clone(&c.deps), c.b.now);
        c.out.close = None;
        let said = c.say(&format!(r#"{{"type":"auth_token","id":7,"token":"{token}"}}"#));
        assert_eq!((said[0]["success"].as_bool(), said[0]["error"]["code"].as_str()), (Some(false), Some(code)));
        assert_eq!((said[0]["id"].as_u64(), c.closed()), (Some(7), Some(CloseCode::TokenInvalid)));
        assert!(token.is_empty() || !said[0].to_string().contains(token));
    }
    let text = c.deps.metrics.render();
    assert!(text.contains(r#"client_auth_failures_total{reason="expired"} 1"#), "{text}");
}

#[test]
fn expiry_is_announced_a_minute_ahead_and_then_closes() {
    let mut c = Client::new();
    c.auth("alice", None, 600_000);
    c.say(r#"{"type":"subscribe","channel":"user:balances"}"#);
    let mut said = Vec::new();
    while c.b.now.unix.0 < 1_763_121_358_000 + 600_000 - 1 && c.closed().is_none() {
        said.extend(c.pass(1_000));
        c.session.on_heard(c.b.now);
        if said.iter().any(|frame| frame["type"] == "auth_expiring") {
            break;
        }
    }
    assert_eq!(c.b.now.unix.0, 1_763_121_358_000 + 540_000);
    assert_eq!(said.last().expect("the notice")["expires_at"].as_i64(), Some(1_763_121_358_000 + 600_000));
    assert!(!kinds(&c.pass(59_999)).contains(&"auth_expiring"), "once");
    assert_eq!(c.closed(), None);
    c.pass(1);
    assert_eq!(c.closed(), Some(CloseCode::TokenExpired));
}

#[test]
fn an_ended_token_tells_and_takes_nothing_even_before_its_timer() {
    let mut c = Client::new();
    c.auth("alice", None, 60_000);
    c.say(r#"{"type":"subscribe","channel":"user:balances"}"#);
    c.push(&["BTC 2/2/0"]);
    c.b.pass(60_000);
    assert_eq!((c.wake(), c.closed()), (vec![], Some(CloseCode::TokenExpired)));
    c.out.close = None;
    assert_eq!((c.say(r#"{"type":"resync","channel":"user:balances"}"#), c.closed()), (vec![], Some(CloseCode::TokenExpired)));
}

#[test]
fn a_token_taken_within_the_leeway_lasts_until_its_end() {
    let mut c = Client::with_leeway(5);
    let token = c.token("alice", None, 10_000);
    c.b.pass(12_000);
    c.session = ClientSession::new(Arc::clone(&c.deps), c.b.now);
    let said = c.say(&format!(r#"{{"type":"auth_token","token":"{token}"}}"#));
    assert_eq!(said[0]["success"].as_bool(), Some(true));
    assert_eq!(kinds(&said), ["auth_result", "auth_expiring"], "told in the same breath: the timer may be late");
    assert_eq!((kinds(&c.pass(2_999)), c.closed()), (vec![], None));
    c.pass(1);
    assert_eq!(c.closed(), Some(CloseCode::TokenExpired));
}

#[test]
fn a_renewal_keeps_the_subscription_and_moves_the_end() {
    let mut c = Client::new();
    c.auth("alice", None, 70_000);
    c.say(r#"{"type":"subscribe","channel":"user:balances"}"#);
    assert!(kinds(&c.pass(11_000)).contains(&"auth_expiring"));
    assert_eq!(kinds(&c.auth("alice", None, 100_000)), ["auth_result"], "the same rights: no new snapshot");
    c.push(&["BTC 2/2/0"]);
    assert_eq!(kinds(&c.wake()), ["update"]);
    c.session.on_heard(c.b.now);
    assert!(kinds(&c.pass(40_000)).contains(&"auth_expiring"), "announced anew");
    c.session.on_heard(c.b.now);
    c.pass(59_990);
    assert_eq!(c.closed(), None);
}

#[test]
fn a_renewal_takes_away_at_once_what_has_become_forbidden() {
    let mut c = Client::new();
    c.auth("alice", Some(&["*"]), 600_000);
    let said = c.say(r#"{"type":"subscribe","channel":"user:balances"}"#);
    assert_eq!(said[1]["accounts"].as_array().map(Vec::len), Some(2));
    let said = c.auth("alice", Some(&["oth*"]), 600_000);
    assert_eq!(kinds(&said), ["auth_result", "snapshot"]);
    assert_eq!((said[1]["reason"].as_str(), rows(&said[1]).len()), (Some("grant"), 0));
    c.push(&["BTC 9/9/0"]);
    assert_eq!(c.wake(), Vec::<Value>::new());
}

#[test]
fn another_users_token_does_not_take_over_a_connection() {
    let mut c = Client::subscribed();
    let said = c.auth("bob", None, 600_000);
    assert_eq!(said[0]["error"]["code"].as_str(), Some("SUBJECT_MISMATCH"));
    assert_eq!(c.closed(), Some(CloseCode::TokenInvalid));
}

#[test]
fn a_changed_directory_takes_away_and_grants_without_being_asked() {
    let mut c = Client::subscribed();
    c.list(&[("main", &["bob"]), ("other", &["alice"])]);
    let said = c.wake();
    assert_eq!((kinds(&said), said[0]["reason"].as_str()), (vec!["snapshot"], Some("grant")));
    assert_eq!((rows(&said[0]).len(), said[0]["accounts"][0]["account"].as_str()), (0, Some("other")));
    c.push(&["BTC 9/9/0"]);
    assert!(c.wake().is_empty(), "nothing of an account that is not hers any more");
    c.b.store.connecting(c.other, c.b.now);
    let said = c.wake();
    assert_eq!((kinds(&said), said[0]["prev"].as_u64()), (vec!["update"], Some(c.b.store.gsn() - 2)));
    c.list(&[("main", &["bob"]), ("other", &["alice", "carol"])]);
    assert!(c.wake().is_empty(), "a change that is none for her");
}

#[test]
fn patterns_of_the_claim_decide_and_ownership_does_not() {
    let mut c = Client::new();
    c.auth("alice", Some(&[]), 600_000);
    let said = c.say(r#"{"type":"subscribe","channel":"user:balances"}"#);
    assert_eq!(said[1]["accounts"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_right_that_goes_between_two_deliveries_is_found_by_the_second_whatever_took_it() {
    type Taking = fn(&Client);
    let revoked: Taking = |c| {
        let what = Revoked::User { user: "alice".into(), issued_before: c.b.now.unix };
        let access = c.deps.access.load();
        access.revocations().add(Revocation { what, until: None }, c.b.now.unix).map(drop).unwrap();
    };
    // As many revocations as before, under a configuration without the key.
    let without_its_key: Taking = |c| {
        let renewed = c.deps.access.load().renewed(&Config { keys: Vec::new(), ..c.config.clone() });
        c.deps.access.store(Arc::new(renewed.unwrap_or_else(|problems| panic!("{problems:?}"))));
    };
    let under_another_key: Taking = |c| {
        let mut config = c.config.clone();
        config.keys[0].secret = Some("another secret of thirty-two bytes".to_owned().into());
        let renewed = c.deps.access.load().renewed(&config);
        c.deps.access.store(Arc::new(renewed.unwrap_or_else(|problems| panic!("{problems:?}"))));
    };
    for take_away in [revoked, without_its_key, under_another_key] {
        let mut c = Client::subscribed();
        c.push(&["BTC 2/2/0"]);
        assert_eq!(kinds(&c.wake()), ["update"]);
        take_away(&c);
        c.push(&["BTC 3/3/0"]);
        assert_eq!((kinds(&c.wake()), c.closed()), (vec![], Some(CloseCode::TokenRevoked)));
    }
}

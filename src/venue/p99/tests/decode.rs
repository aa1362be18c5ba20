//! What the venue writes, read from its fixtures and from noise.

use super::*;

fn row(token: &str, available: &str, frozen: &str, ts: Option<i64>) -> Row {
    let (available, frozen) = (amount(available), amount(frozen));
    Row { token: token.into(), available, frozen, ts: ts.map(UnixMs) }
}

fn listing(rows: Vec<Row>) -> Listing {
    Listing { rows, ..Listing::default() }
}

#[test]
fn every_fixture_reads_as_documented() {
    let refused = |message: &'static str| Incoming::AuthResult { success: false, message: message.into() };
    let error = |code: &'static str| Incoming::Error { code: code.into() };
    let fixtures = [
        (include_str!("../fixtures/push_format.json"), Incoming::Balance(row("DF", "10000", "100", Some(1_778_400_000_000)))),
        (include_str!("../fixtures/push_fill_df.json"), Incoming::Balance(row("DF", "10030", "0", Some(1_778_400_010_000)))),
        (include_str!("../fixtures/push_fill_usdt.json"), Incoming::Balance(row("USDT", "4985", "0", Some(1_778_400_010_000)))),
        (include_str!("../fixtures/subscribed.json"), Incoming::Subscribed),
        (include_str!("../fixtures/unsubscribed.json"), Incoming::Unsubscribed),
        (include_str!("../fixtures/pong.json"), Incoming::Pong),
        (include_str!("../fixtures/auth_result_success.json"), Incoming::AuthResult { success: true, message: "".into() }),
        (include_str!("../fixtures/auth_result_refused.json"), refused("Invalid or expired token")),
        (include_str!("../fixtures/auth_result_refused_listen_key.json"), refused("Invalid or expired listenKey")),
        (include_str!("../fixtures/auth_result_refused_timestamp.json"), refused("Timestamp expired")),
        (include_str!("../fixtures/error_invalid_channel.json"), error("INVALID_CHANNEL")),
        (include_str!("../fixtures/error_auth_required.json"), error("AUTH_REQUIRED")),
        (include_str!("../fixtures/error_forbidden.json"), error("FORBIDDEN")),
        (include_str!("../fixtures/error_invalid_message.json"), error("INVALID_MESSAGE")),
        (include_str!("../fixtures/unified_account.json"), Incoming::Other),
    ];
    for (text, expected) in fixtures {
        assert_eq!(wire::frame(text), Ok(expected), "{text}");
    }
    let both = vec![row("DF", "10000", "100", None), row("USDT", "5000", "0", None)];
    assert_eq!(wire::balances(include_bytes!("../fixtures/rest_balances_object.json")), Ok(listing(both.clone())));
    assert_eq!(wire::balances(include_bytes!("../fixtures/rest_balances_array.json")), Ok(listing(both)));
    assert_eq!(wire::balances(include_bytes!("../fixtures/rest_balances_empty.json")), Ok(listing(vec![])));
    assert_eq!(wire::listen_key(include_bytes!("../fixtures/rest_listen_key.json")).unwrap().len(), 64);
    let refusal = |status, body| wire::refusal_of(&Reply { status, body });
    assert_eq!(refusal(503, include_bytes!("../fixtures/rest_engine_busy.json").as_slice()).error, "ENGINE_BUSY");
    assert_eq!(refusal(400, include_bytes!("../fixtures/rest_invalid_timestamp.json").as_slice()).code, Some(-1021));
}

#[test]
fn what_we_send_is_what_the_manual_shows() {
    let same = |ours: &str, manual: &str| {
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(ours), read(manual));
    };
    same(&wire::auth_token("eyJhbGciOiJIUzI1..."), include_str!("../fixtures/auth_token.json"));
    same(&wire::auth_listen_key("aGVsbG8"), include_str!("../fixtures/auth_listen_key.json"));
    same(wire::SUBSCRIBE, include_str!("../fixtures/subscribe.json"));
    same(wire::PING, include_str!("../fixtures/ping.json"));
}

#[test]
fn a_wrong_field_is_an_error_that_names_it() {
    let push = |data: &str| {
        let text = format!(r#"{{"type":"spot_user_balance","channel":"spot:user:balances","data":{data}}}"#);
        wire::frame(&text).map(|_| ()).unwrap_err()
    };
    let df = |field| WireError::Push { token: Some("DF".into()), field };
    assert_eq!(push(r#"{"token":"DF","frozen":"0","ts":1}"#), df("available"));
    assert_eq!(push(r#"{"token":"DF","available":null,"frozen":"0","ts":1}"#), df("available"));
    assert_eq!(push(r#"{"token":"DF","available":"1","frozen":"x","ts":1}"#), df("frozen"));
    assert_eq!(push(r#"{"token":"DF","available":"1","frozen":"0"}"#), df("ts"));
    assert_eq!(push(r#"{"token":"DF","available":"1","frozen":"0","ts":"1"}"#), df("ts"));
    assert_eq!(push(r#"{"available":"1","frozen":"0","ts":1}"#), WireError::Push { token: None, field: "token" });
    assert_eq!(push(r#"["DF","1","0",1]"#), WireError::Push { token: None, field: "*" });
    assert_eq!(wire::frame(r#"["pong","spot:user:balances",null,null,null,null]"#), Err(WireError::Json));
    assert_eq!(wire::balances(br#"[["DF","1","0",1]]"#), Err(WireError::Field("token")));
    assert_eq!(push("7"), WireError::Push { token: None, field: "*" });
    assert_eq!(wire::frame(r#"{"channel":"x"}"#), Err(WireError::Field("type")));
    assert_eq!(wire::balances(br#"{"data":[]}"#), Err(WireError::Field("balances")));
}

#[test]
fn a_row_that_cannot_be_read_concerns_its_own_token_alone() {
    let of = |rows: &str| {
        wire::balances(format!(r#"{{"balances":[{{"token":"OK","available":"1","frozen":"0"}},{rows}]}}"#).as_bytes())
    };
    let ok = || vec![row("OK", "1", "0", None)];
    for amount in ["\"abc\"", "null", "\" 1\"", "true", "\"1e999\""] {
        let problem = Some(WireError::Field("available"));
        let read = Listing { rows: ok(), unreadable: vec!["ODD".into()], problem, ..listing(vec![]) };
        assert_eq!(of(&format!(r#"{{"token":"ODD","available":{amount},"frozen":"0"}}"#)), Ok(read), "{amount}");
    }
    for unnamed in [r#"{"available":"1","frozen":"0"}"#, r#"{"token":7,"available":"1","frozen":"0"}"#, "[]", "null"] {
        let problem = Some(WireError::Field("token"));
        assert_eq!(of(unnamed), Ok(Listing { rows: ok(), has_unnamed: true, problem, ..listing(vec![]) }), "{unnamed}");
    }
    let twice = r#"{"token":"T","available":"0","frozen":"0"},{"token":"T","available":"1","frozen":"0"}"#;
    let read = Listing { rows: ok(), unreadable: vec!["T".into()], problem: Some(WireError::Twice), ..listing(vec![]) };
    assert_eq!(of(twice), Ok(read));
}

#[test]
fn as_many_rows_are_taken_as_an_account_may_have() {
    let of = |rows: usize| format!("[{}]", vec![r#"{"token":"T"}"#; rows].join(","));
    assert!(wire::balances(of(wire::MAX_ROWS).as_bytes()).is_ok());
    assert_eq!(wire::balances(of(wire::MAX_ROWS + 1).as_bytes()), Err(WireError::TooMany));
}

#[test]
fn unknown_fields_and_a_number_for_an_amount_are_taken() {
    let text = r#"{"type":"spot_user_balance","v":2,"channel":"spot:user:balances",
        "data":{"token":"D\u0046","available":1.50,"frozen":1e-8,"ts":1,"usd":"9"}}"#;
    assert_eq!(wire::frame(text), Ok(Incoming::Balance(row("DF", "1.50", "0.00000001", Some(1000)))));
    let body = br#"  {"page":1,"balances":[{"token":"DF","available":"1","frozen":"0","usd":1.5}]}"#;
    assert_eq!(wire::balances(body), Ok(listing(vec![row("DF", "1", "0", None)])));
}

#[test]
fn an_error_holds_nothing_of_the_message() {
    for text in
        [r#"{"type":5,"token":"secret"}"#, "secret", r#"{"type":"spot_user_balance","data":{"token":"DF","ts":"secret"}}"#]
    {
        assert!(!wire::frame(text).unwrap_err().to_string().contains("secret"));
    }
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,200}") {
        let _ = wire::balances(&bytes);
        let _ = wire::frame(&text);
        let _ = wire::listen_key(&bytes);
    }

    #[test]
    fn reading_a_damaged_push_never_panics(at in 0usize..120, with in any::<char>()) {
        let mut chars: Vec<char> = include_str!("../fixtures/push_format.json").chars().collect();
        let at = at % chars.len();
        chars[at] = with;
        let _ = wire::frame(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn no_digit_is_lost(whole in "(0|[1-9][0-9]{0,40})", fraction in "[0-9]{1,40}", frozen in "(0|[1-9][0-9]{0,40})", quoted: bool) {
        let available = format!("{whole}.{fraction}");
        let written = if quoted { format!("\"{available}\"") } else { available.clone() };
        let list = format!(r#"[{{"token":"DF","available":{written},"frozen":"{frozen}"}}]"#);
        let update = wire::balances(list.as_bytes()).unwrap().rows.remove(0).update();
        prop_assert_eq!(&update.available, &Field::Is(amount(&available)));
        let Field::Is(kept) = &update.available else { unreachable!() };
        prop_assert_eq!(kept.as_str(), available.as_str());
        let Field::Derived(total) = &update.total else { panic!("the total is derived") };
        prop_assert!(total.minus(&amount(&frozen)).same_value(&amount(&available)));
    }
}

//! The words on the wire: every request form, and frames that stay JSON whatever a name holds.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::*;

// ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn refused(text: &str) -> (ErrorCode, Option<String>, String) {
    let refusal = parse(text).expect_err(text);
    (refusal.code, refusal.id.map(|id| id.json().to_owned()), refusal.message)
}

fn subscribe(rest: &str) -> Result<Subscribe, ErrorCode> {
    match parse(&format!(r#"{{"type":"subscribe","channel":"user:balances"{rest}}}"#)) {
        Ok((_, Request::Subscribe(subscribe))) => Ok(subscribe),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal.code),
    }
}

#[test]
fn every_request_form_is_understood() {
    assert!(matches!(parse(r#"{"type":"auth_token","token":"t"}"#), Ok((None, Request::AuthToken { token })) if token == "t"));
    assert!(matches!(
        parse(r#"{"type":"unsubscribe","channel":"user:orders"}"#),
        Ok((_, Request::Unsubscribe { channel: Channel::Orders }))
    ));
    assert!(matches!(
        parse(r#"{"type":"resync","channel":"user:balances"}"#),
        Ok((_, Request::Resync { channel: Channel::Balances }))
    ));
    assert!(matches!(parse(r#" {"type":"ping"} "#), Ok((None, Request::Ping))));
    assert!(matches!(parse(r#"{"type":"pong","ts":1}"#), Ok((None, Request::Pong))));
    let plain = subscribe("").unwrap();
    assert_eq!((plain.filter, plain.max_rate_hz, plain.since), (Filter::default(), None, None));
    let full = subscribe(
        r#","filter":{"venues":["p99"],"accounts":["b","a","b"],"assets":["BTC"],"nonzero":true},"max_rate_hz":10,
           "since":{"epoch":"k","gsn":1041},"shiny":[1]"#,
    );
    let full = full.unwrap();
    assert_eq!(full.filter.accounts, Some(vec!["a".into(), "b".into()]), "sorted, and each once");
    assert_eq!((full.filter.nonzero, full.max_rate_hz), (true, Some(10.0)));
    assert_eq!(full.since, Some(Since { epoch: "k".into(), gsn: 1041 }));
    let nulls = r#","filter":{"venues":null,"accounts":null,"assets":null,"nonzero":null},"max_rate_hz":null,"since":null"#;
    let nulls = subscribe(nulls).unwrap();
    assert_eq!((nulls.filter, nulls.max_rate_hz, nulls.since), (Filter::default(), None, None));
    assert_eq!(subscribe(r#","filter":null"#).unwrap().filter, Filter::default());
}

#[test]
fn an_id_comes_back_as_it_was_written() {
    for id in ["1", "-7", "123456789012345678901234567890", r#""""#, r#""a\u0041\"ü💰""#] {
        let (echoed, _) = parse(&format!(r#"{{"type":"ping","id":{id}}}"#)).expect(id);
        assert_eq!(echoed.as_ref().map(Id::json), Some(id));
        let frame: Value = serde_json::from_str(&pong(echoed.as_ref(), UnixMs(1))).expect(id);
        assert_eq!(frame["id"], serde_json::from_str::<Value>(id).unwrap());
    }
    assert!(matches!(parse(r#"{"type":"ping","id":null}"#), Ok((None, Request::Ping))));
    for id in ["1.5", "1e3", "true", "[1]", "{}", &format!("\"{}\"", "x".repeat(127))] {
        assert_eq!(refused(&format!(r#"{{"type":"ping","id":{id}}}"#)).0, ErrorCode::BadRequest, "{id}");
    }
    assert_eq!(refused(r#"{"type":"nonsense","id":"x"}"#).1.as_deref(), Some("\"x\""), "a refusal is answered to its request");
}

#[test]
fn what_is_no_request_is_refused_with_its_reason() {
    for (text, code) in [
        ("", ErrorCode::BadJson),
        ("null", ErrorCode::BadJson),
        ("[]", ErrorCode::BadJson),
        ("{", ErrorCode::BadJson),
        (r#"{"type":"ping"} x"#, ErrorCode::BadJson),
        (r#"{"type":"ping","type":"ping"}"#, ErrorCode::BadRequest),
        ("{}", ErrorCode::BadRequest),
        (r#"{"type":1}"#, ErrorCode::BadRequest),
        (r#"{"type":"Ping"}"#, ErrorCode::UnknownType),
        (r#"{"type":"auth_token"}"#, ErrorCode::BadRequest),
        (r#"{"type":"auth_token","token":1}"#, ErrorCode::BadRequest),
        (r#"{"type":"subscribe"}"#, ErrorCode::BadRequest),
        (r#"{"type":"resync","channel":"balances"}"#, ErrorCode::UnknownChannel),
    ] {
        assert_eq!(refused(text).0, code, "{text}");
    }
    let secret = refused(r#"{"type":"auth_token","token":["s3cret"]}"#);
    assert!(!secret.2.contains("s3cret"));
}

#[test]
fn bounds_of_a_subscription_hold() {
    let entries = |n: usize| (0..n).map(|i| format!("\"{i}\"")).collect::<Vec<_>>().join(",");
    let assets =
        |list: &str| subscribe(&format!(r#","filter":{{"assets":{list}}}"#)).map(|s| s.filter.assets.map_or(0, |a| a.len()));
    assert_eq!(assets(&format!("[{}]", entries(500))), Ok(500));
    for list in [&format!("[{}]", entries(501)), "[]", "[1]", "\"BTC\"", "{}", &format!("[\"{}\"]", "x".repeat(129))] {
        assert_eq!(assets(list), Err(ErrorCode::BadFilter), "{list}");
    }
    assert_eq!(assets(&format!("[\"{}\"]", "💰".repeat(128))), Ok(1), "characters, not bytes");
    for nonzero in ["1", "\"true\"", "[]"] {
        assert_eq!(subscribe(&format!(r#","filter":{{"nonzero":{nonzero}}}"#)).err(), Some(ErrorCode::BadFilter));
    }
    assert_eq!(subscribe(r#","filter":[]"#).err(), Some(ErrorCode::BadFilter));
    for rate in ["0", "-1", "1001", "0.0009", "\"10\"", "1e999", "[]"] {
        assert_eq!(subscribe(&format!(r#","max_rate_hz":{rate}"#)).err(), Some(ErrorCode::BadRequest), "{rate}");
    }
    for rate in ["0.001", "1000", "1e1"] {
        assert!(subscribe(&format!(r#","max_rate_hz":{rate}"#)).is_ok(), "{rate}");
    }
    for since in [r#"{"epoch":"k"}"#, r#"{"epoch":"k","gsn":-1}"#, r#"{"epoch":1,"gsn":1}"#, r#"{"epoch":"k","gsn":1.5}"#, "7"]
    {
        assert_eq!(subscribe(&format!(r#","since":{since}"#)).err(), Some(ErrorCode::BadRequest), "{since}");
    }
}

#[test]
fn a_query_is_the_same_filter() {
    let query = |pairs: &[(&str, &str)]| Filter::from_query(pairs.iter().copied());
    let filter = query(&[("assets", "USD,BTC,,BTC"), ("nonzero", "true"), ("venues", ""), ("utm", "x")]).unwrap();
    let same = subscribe(r#","filter":{"assets":["BTC","USD"],"nonzero":true}"#).unwrap().filter;
    assert_eq!(filter, same);
    let apart = query(&[("assets", "USD"), ("nonzero", "true"), ("assets", "BTC")]).unwrap();
    assert_eq!(apart, same, "one parameter an entry: none of them is lost");
    assert!(query(&[("nonzero", "yes")]).is_err() && query(&[("assets", ",")]).is_err());
    let many = vec!["x"; 501].join(",");
    assert!(query(&[("accounts", &many)]).is_err());
}

// ── frames ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn amount(text: &str) -> Option<Amount> {
    Some(text.parse().expect("an amount"))
}

fn key(account: &str) -> AccountKey {
    AccountKey { venue: "bitfinex", account: account.into() }
}

fn row(asset: &str) -> Balance {
    Balance {
        key: Arc::new(key("bfx-main")),
        wallet: "exchange".into(),
        asset: asset.into(),
        total: amount("1.61169184"),
        available: None,
        locked: None,
        basis: [Origin::Reported; 3],
        state: RowState::Live,
        gsn: 1050,
        value_gsn: 1049,
        venue_ts: None,
        received_ts: UnixMs(1_763_121_359_900),
        changed_ts: UnixMs(1_763_121_359_900),
        last_known: None,
        cause: None,
        extra: None,
    }
}

fn record(account: &str) -> AccountRecord {
    AccountRecord {
        key: key(account),
        state: AccountState::Live,
        since: UnixMs(1_763_121_300_000),
        reason: None,
        facts: Facts::default(),
        drift_count: 0,
        reconnect_count: 0,
        resync_count: 0,
        last_confirmed: None,
        proof: Arc::default(),
        gsn: 3,
    }
}

fn order(id: &str) -> Order {
    Order {
        key: Arc::new(key("bfx-main")),
        order_id: id.into(),
        asset: "BTC".into(),
        filled: None,
        status: "OPEN".into(),
        is_final: false,
        state: RowState::Live,
        gsn: 9,
        received_ts: UnixMs(1),
        changed_ts: UnixMs(2),
        extra: None,
    }
}

fn of(write: impl FnOnce(&mut String)) -> Value {
    let mut text = String::new();
    write(&mut text);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn changes(balances: Vec<Balance>) -> Changes {
    let balances = balances.into_iter().map(Arc::new).collect();
    Changes { cut: 1053, complete: true, accounts: vec![Arc::new(record("bfx-main"))], balances, ..Changes::default() }
}

const HEAD: SnapshotHead<'static> =
    SnapshotHead { channel: Channel::Balances, reason: "subscribe", epoch: "k3f9a1", ts: UnixMs(1_763_121_359_960) };

#[test]
fn a_row_is_as_the_contract_shows_it() {
    let mut full = row("BTC");
    full.extra = Some(Arc::from([("unsettled_interest", Name::from("0"))]));
    let wanted = json!({
        "venue": "bitfinex", "account": "bfx-main", "wallet": "exchange", "asset": "BTC",
        "total": "1.61169184", "available": null, "locked": null, "state": "live", "gsn": 1050,
        "venue_ts": null, "received_ts": 1_763_121_359_900_i64, "changed_ts": 1_763_121_359_900_i64,
        "extra": {"unsettled_interest": "0"}
    });
    assert_eq!(of(|b| balance_json(b, &full)), wanted);
}

#[test]
fn what_a_row_may_add_is_told() {
    let mut full = row("BTC");
    full.basis = [Origin::Derived, Origin::Absent, Origin::Reported];
    full.venue_ts = Some(UnixMs(-5));
    full.last_known = Some(Box::new(LastKnown { available: "1.20".parse().unwrap(), ts: UnixMs(8) }));
    let venue = serde_json::value::RawValue::from_string(r#"{"reason":"TRADE","order_id":34988418651,"price":7804.60}"#.into());
    let cause = Cause { kind: CauseKind::Trade, description: Some("0.01 \"BTC\"\n".into()), venue: venue.ok() };
    full.cause = Some(Arc::new(cause));
    let mut text = String::new();
    balance_json(&mut text, &full);
    assert!(text.contains(r#""price":7804.60}"#), "the venue's own words are not touched");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["basis"], json!({"total": "derived", "available": "absent"}));
    assert_eq!((&told["venue_ts"], &told["last_known"]), (&json!(-5), &json!({"available": "1.20", "ts": 8})));
    assert_eq!((&told["cause"]["type"], &told["cause"]["description"]), (&json!("trade"), &json!("0.01 \"BTC\"\n")));
}

#[test]
fn an_account_record_tells_its_facts_and_why_it_is_not_live() {
    let wanted = json!({
        "venue": "bitfinex", "account": "bfx-main", "state": "live", "since": 1_763_121_300_000_i64, "drift_count": 0,
        "proven_ts": null
    });
    assert_eq!(of(|b| account_json(b, &record("bfx-main"))), wanted);
    let mut full = record("bfx-main");
    full.state = AccountState::AuthFailed;
    full.reason = Some(Reason::new(ReasonCode::WrongKey, "a \"quote\""));
    full.facts.fees = Some(Fees { maker: "0.0010".parse().unwrap(), taker: "0.002".parse().unwrap() });
    full.facts.permissions = serde_json::value::RawValue::from_string(r#"{"orders":[1,0]}"#.into()).ok();
    full.facts.warnings = Some(vec!["may withdraw".into()]);
    (full.drift_count, full.last_confirmed) = (2, Some(UnixMs(9)));
    full.proof.give(Now { mono: Mono(1), unix: UnixMs(11) });
    (full.reconnect_count, full.resync_count) = (3, 1);
    let told = of(|b| account_json(b, &full));
    assert_eq!(
        (&told["state"], &told["reason"]),
        (&json!("auth_failed"), &json!({"code": "wrong_key", "text": "a \"quote\""}))
    );
    assert_eq!(
        (&told["fees"], &told["permissions"]),
        (&json!({"maker": "0.0010", "taker": "0.002"}), &json!({"orders": [1, 0]}))
    );
    assert_eq!(
        (&told["warnings"], &told["drift_count"], &told["last_confirmed_ts"], &told["proven_ts"]),
        (&json!(["may withdraw"]), &json!(2), &json!(9), &json!(11))
    );
    assert_eq!((&told["reconnect_count"], &told["resync_count"]), (&json!(3), &json!(1)));
}

#[test]
fn every_state_and_reason_reads_alike_everywhere() {
    for state in AccountState::ALL {
        assert_eq!(json!(state), json!(state.as_str()));
    }
    for code in [ReasonCode::Starting, ReasonCode::UpstreamDisconnected, ReasonCode::RestUnauthorized, ReasonCode::RowLimit] {
        assert_eq!(json!(code), json!(code.as_str()));
    }
    for channel in Channel::ALL {
        assert_eq!(json!(channel), json!(channel.as_str()));
    }
    for code in [ErrorCode::BadJson, ErrorCode::SubjectMismatch, ErrorCode::LimitConnections, ErrorCode::Internal] {
        assert_eq!(json!(code), json!(code.as_str()));
    }
}

#[test]
fn short_frames_are_as_the_contract_shows_them() {
    let parsed = |text: String| serde_json::from_str::<Value>(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let (id, _) = parse(r#"{"type":"ping","id":2}"#).unwrap();
    let id = id.as_ref();
    assert_eq!(
        parsed(auth_result(None, "al\"ice", UnixMs(5), 15_000)),
        json!({"type": "auth_result", "success": true, "user": "al\"ice", "expires_at": 5, "heartbeat_ms": 15_000})
    );
    assert_eq!(
        parsed(auth_refused(id, ErrorCode::TokenExpired, "no \\ more")),
        json!({"type": "auth_result", "id": 2, "success": false, "error": {"code": "TOKEN_EXPIRED", "message": "no \\ more"}})
    );
    assert_eq!(parsed(auth_expiring(UnixMs(5))), json!({"type": "auth_expiring", "expires_at": 5}));
    assert_eq!(
        parsed(subscribed(id, Channel::Balances, "k", 1053, true)),
        json!({"type": "subscribed", "id": 2, "channel": "user:balances", "epoch": "k", "gsn": 1053, "resumed": true})
    );
    assert_eq!(parsed(unsubscribed(None, Channel::Orders)), json!({"type": "unsubscribed", "channel": "user:orders"}));
    assert_eq!(
        parsed(heartbeat(UnixMs(1), &[(Channel::Balances, 3), (Channel::Orders, 4)])),
        json!({"type": "heartbeat", "ts": 1, "gsn": {"user:balances": 3, "user:orders": 4}})
    );
    assert_eq!(parsed(heartbeat(UnixMs(1), &[])), json!({"type": "heartbeat", "ts": 1, "gsn": {}}));
    assert_eq!(
        parsed(error(None, ErrorCode::RateLimited, "a \"b\"")),
        json!({"type": "error", "code": "RATE_LIMITED", "message": "a \"b\"", "retry": "backoff"})
    );
    assert_eq!(parsed(draining(5)), json!({"type": "draining", "reconnect_within_ms": 5}));
}

#[test]
fn a_snapshot_in_one_piece_says_nothing_of_parts() {
    let parts = snapshot(&HEAD, &changes(vec![row("BTC"), row("USD")]));
    assert_eq!(parts.len(), 1);
    assert_eq!(
        parts[0].text(),
        snapshot_whole(&HEAD, &changes(vec![row("BTC"), row("USD")])),
        "REST and WebSocket say the same"
    );
    let told: Value = serde_json::from_str(parts[0].text()).unwrap();
    let fields: Vec<_> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields.len(), 10, "{fields:?}");
    assert_eq!(
        (&told["type"], &told["channel"], &told["prev"], &told["gsn"]),
        (&json!("snapshot"), &json!("user:balances"), &json!(0), &json!(1053))
    );
    assert_eq!((&told["complete"], told["accounts"].as_array().unwrap().len()), (&json!(true), 1));
    let empty = snapshot(&HEAD, &Changes { complete: true, ..Changes::default() });
    assert!(empty.len() == 1 && empty[0].text().contains(r#""accounts":[],"balances":[]"#));
}

#[test]
fn parts_hold_every_row_once_within_their_bound() {
    for width in [1, 100, 5_000, PART_BYTES] {
        let count = if width > 100 { 40 } else { 600 };
        let wallet = |i| Name::from(format!("{i}{}", "w".repeat(width)));
        let rows: Vec<_> = (0..count).map(|i| Balance { wallet: wallet(i), ..row("BTC") }).collect();
        let parts = snapshot(&HEAD, &changes(rows.clone()));
        assert!(parts.len() > 1);
        let mut wallets = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            let told: Value = serde_json::from_str(part.text()).unwrap();
            assert_eq!((&told["part"], &told["parts"], &told["gsn"]), (&json!(i + 1), &json!(parts.len()), &json!(1053)));
            let rows = told["balances"].as_array().unwrap();
            assert!(part.text().len() <= PART_BYTES || rows.len() == 1, "{} bytes", part.text().len());
            wallets.extend(rows.iter().map(|row| row["wallet"].as_str().unwrap().to_owned()));
        }
        assert_eq!(wallets, rows.iter().map(|row| row.wallet.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn an_update_names_the_frame_before_it() {
    let head = UpdateHead { channel: Channel::Orders, epoch: "k", prev: 1053, ts: UnixMs(6) };
    let orders = vec![Arc::new(order("34988418651"))];
    let told: Value = serde_json::from_str(update(&head, &Changes { cut: 1054, orders, ..Changes::default() }).text()).unwrap();
    assert_eq!(
        (&told["type"], &told["channel"], &told["prev"], &told["gsn"]),
        (&json!("update"), &json!("user:orders"), &json!(1053), &json!(1054))
    );
    let wanted = json!({
        "venue": "bitfinex", "account": "bfx-main", "order_id": "34988418651", "asset": "BTC", "filled": null, "status": "OPEN",
        "final": false, "state": "live", "gsn": 9, "received_ts": 1, "changed_ts": 2
    });
    assert_eq!(told["orders"], json!([wanted]));
    assert!(told.get("balances").is_none());
}

#[test]
fn a_listing_holds_one_list() {
    let all = changes(vec![row("BTC")]);
    let accounts: Value = serde_json::from_str(&listing("k", UnixMs(1), "accounts", &all)).unwrap();
    assert_eq!((accounts["accounts"].as_array().unwrap().len(), accounts.get("balances").is_none()), (1, true));
}

proptest! {
    /// Venues and operators choose names; no name may break a frame or read as another.
    #[test]
    fn frames_are_json_and_names_come_through_whole(name in ".{1,40}", control in "[\u{0}-\u{1f}\"\\\\/\u{7f}\u{2028}💰a]{1,12}") {
        for text in [name, control] {
            let mut full = row(&text);
            (full.wallet, full.key) = (text.as_str().into(), Arc::new(key(&text)));
            full.extra = Some(Arc::from([("x", Name::from(text.as_str()))]));
            full.cause = Some(Arc::new(Cause { description: Some(text.as_str().into()), ..Cause::of(CauseKind::Other) }));
            let mut account = record(&text);
            account.reason = Some(Reason::new(ReasonCode::Starting, text.as_str()));
            let all = Changes { accounts: vec![Arc::new(account)], ..changes(vec![full]) };
            let told: Value = serde_json::from_str(snapshot(&HEAD, &all)[0].text()).expect("JSON");
            let told_row = &told["balances"][0];
            for field in ["account", "wallet", "asset"] {
                prop_assert_eq!(told_row[field].as_str(), Some(text.as_str()));
            }
            prop_assert_eq!(told_row["extra"]["x"].as_str(), Some(text.as_str()));
            prop_assert_eq!(told_row["cause"]["description"].as_str(), Some(text.as_str()));
            prop_assert_eq!(told["accounts"][0]["reason"]["text"].as_str(), Some(text.as_str()));
            let told = of(|b| order_json(b, &Order { status: text.as_str().into(), ..order(&text) }));
            prop_assert_eq!((told["order_id"].as_str(), told["status"].as_str()), (Some(text.as_str()), Some(text.as_str())));
            let told: Value = serde_json::from_str(&error(None, ErrorCode::Internal, &text)).expect("JSON");
            prop_assert_eq!(told["message"].as_str(), Some(text.as_str()));
        }
    }

    /// Whatever a client sends, there is an answer, and what is echoed of it is JSON.
    #[test]
    fn any_text_is_a_request_or_a_refusal(text in "\\PC{0,200}", inner in "[\\[\\]{}\":,a-z0-9\\\\ .-]{0,80}") {
        let dressed = format!(r#"{{"type":"subscribe","channel":"user:balances","id":{inner},"filter":{{"assets":[{inner}]}}}}"#);
        for text in [text, inner, dressed] {
            let id = match parse(&text) {
                Ok((id, _)) => id,
                Err(refusal) => refusal.id,
            };
            let answer = error(id.as_ref(), ErrorCode::BadRequest, "x");
            prop_assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{}", answer);
        }
    }

    #[test]
    fn amounts_reach_the_wire_digit_by_digit(digits in "(0|[1-9][0-9]{0,40})\\.[0-9]{1,40}") {
        let told = of(|b| balance_json(b, &Balance { total: amount(&digits), ..row("BTC") }));
        prop_assert_eq!(told["total"].as_str(), Some(digits.as_str()));
    }
}

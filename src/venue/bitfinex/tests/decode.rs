//! Every fixture decodes to what it says; what cannot be read is told, bounded and without any of it.

use super::*;

#[test]
fn the_source_document_decodes() {
    let account = "snapshot Account";
    assert_eq!(heard(fixture!("ws_source.json"))[..2], [format!("{account} [exchange SAN 19.76/unknown]"), "synced".into()]);
    assert_eq!(heard(fixture!("wu_source.json")), ["rows [exchange BTC 1.61169184/unknown]"]);
}

#[test]
fn every_other_fixture_decodes_to_what_it_says() {
    let none: [&str; 0] = [];
    assert_eq!(heard(fixture!("wu_fee.json")), ["rows [exchange BTC 1.61167184/1.61167184]"]);
    assert_eq!(heard(fixture!("hb.json")), none);
    assert_eq!(heard(fixture!("pong.json")), none);
    assert_eq!(heard(fixture!("conf_ok.json")), none);
    assert_eq!(heard(fixture!("info_hello.json")), none);
    assert_eq!(heard(fixture!("error_10000.json")), ["malformed: an error event with code 10000"]);
    assert_eq!(heard(fixture!("auth_ok.json")), ["facts 0 warnings"]);
    assert_eq!(heard(fixture!("auth_ok_caps_string.json")), ["facts 2 warnings"]);
    assert_eq!(heard(fixture!("info_hello_maintenance.json")), ["maintenance maintenance"]);
}

#[test]
fn every_frame_that_can_be_read_proves_life() {
    let mut duo = quiet();
    for text in [fixture!("hb.json"), fixture!("bu.json"), fixture!("wu_fee.json"), fixture!("info_hello.json")] {
        duo.hear(text);
        assert!(matches!(duo.drain()[0], VenueEvent::Alive), "{text}");
    }
    duo.hear("[0,");
    assert_eq!(duo.drain().iter().map(say).collect::<Vec<_>>(), ["malformed: a frame that is no JSON"]);
}

#[test]
fn rest_answers_decode() {
    let decode = |text: &'static str| wire::decode_answer(text.as_bytes());
    assert!(matches!(decode(fixture!("rest_wallets.json")), Ok(Answer::Wallets(rows)) if rows.len() == 2));
    assert!(matches!(decode("[]"), Ok(Answer::Wallets(rows)) if rows.is_empty()));
    assert!(matches!(decode(fixture!("rest_error_10100.json")), Ok(Answer::Error(10100))));
    assert!(matches!(decode(fixture!("rest_error_10114.json")), Ok(Answer::Error(10114))));
    assert!(matches!(decode(fixture!("rest_rate_limit.json")), Ok(Answer::RateLimited)));
    assert_eq!(decode("<html>").unwrap_err(), WireError::NotJson);
    assert_eq!(decode(r#"["fine",1]"#).unwrap_err(), WireError::Shape);
    assert_eq!(decode("{}").unwrap_err(), WireError::Shape);
}

#[test]
fn an_unreadable_row_of_a_snapshot_is_neither_dropped_nor_live() {
    let events = heard(r#"[0,"ws",[["exchange","BTC",1,0,1],["exchange","USD","many",0,1],["margin","USD",2,0]]]"#);
    let listed = "exchange BTC 1/1, exchange USD keep/keep, margin USD keep/keep";
    assert_eq!(events[0], "malformed: ws: field BALANCE cannot be read");
    assert_eq!(events[1], format!("snapshot Account [{listed}]"));
    assert_eq!(events[2..], ["synced", "unproven exchange USD", "unproven margin USD"]);
}

#[test]
fn a_snapshot_with_a_nameless_row_tells_of_the_others_and_proves_no_absence() {
    let events = heard(r#"[0,"ws",[["exchange","BTC",1,0,1],["exchange",null,1,0,1]]]"#);
    let told = ["omitted protocol_error", "snapshot Account [exchange BTC 1/1]", "synced"];
    assert_eq!(
        (events[0].as_str(), &events[1..]),
        ("malformed: ws: field CURRENCY cannot be read", &told.map(String::from)[..])
    );
}

#[test]
fn an_update_that_could_be_any_row_takes_live_away_until_rest_agrees() {
    let mut duo = duo();
    duo.pass(2_000);
    said(&mut duo);
    duo.hear(r#"[0,"wu",{"wallet":"exchange"}]"#);
    let lost = ["malformed: a wallet message of another shape", "syncing protocol_error", "resynced unreadable_wallet"];
    assert_eq!(said(&mut duo), lost);
    duo.pass(10);
    assert!(said(&mut duo)[0].starts_with("reconcile Zero"));
    let mut out = Out::default();
    duo.session.on_verdict(duo.now, Verdict { doubted: 1, corrected: 0 }, &mut out);
    assert!(out.actions.is_empty(), "one answer against us settles nothing");
    duo.pass(1_600);
    assert!(said(&mut duo)[0].starts_with("reconcile Zero"));
    duo.session.on_verdict(duo.now, Verdict { doubted: 0, corrected: 1 }, &mut out);
    assert!(matches!(out.actions[..], [Action::Event(VenueEvent::Synced)]));
}

#[test]
fn an_update_that_could_be_any_row_reconnects_where_rest_is_off_or_silent() {
    let mut off = quiet();
    off.hear(r#"[0,"wu",[null,"BTC",1,0,1]]"#);
    assert_eq!(closed(&off), (ErrorClass::Protocol, ReasonCode::ProtocolError));
    let mut down = duo();
    down.fault("rest_down");
    down.hear(r#"[0,"wu",[null,"BTC",1,0,1]]"#);
    down.pass(10_000);
    assert_eq!(closed(&down), (ErrorClass::Protocol, ReasonCode::SyncTimeout));
}

#[test]
fn garbage_is_counted_and_rest_asked() {
    let mut duo = duo();
    duo.pass(2_000);
    said(&mut duo);
    duo.fault("garbage");
    assert_eq!(said(&mut duo), ["malformed: a frame that is no JSON"]);
    duo.pass(2_000);
    assert!(said(&mut duo)[0].starts_with("reconcile"));
    assert!(duo.closed.is_none());
}

#[test]
fn errors_hold_nothing_of_the_payload() {
    for text in [
        r#"[0,"wu",["exchange","SECRET","s3cret",0,1]]"#,
        r#"[0,"wu","s3cret"]"#,
        r#"s3cret"#,
        r#"{"event":"auth","status":"OK","caps":"s3cret"}"#,
        r#"{"event":"error","code":"s3cret","msg":"s3cret"}"#,
    ] {
        let events = heard(text);
        assert!(!events.is_empty() && !events.iter().any(|event| event.contains("s3cret")), "{events:?}");
    }
}

#[test]
fn causes_are_bounded_and_verbatim() {
    let cause = |description: &str, meta: &str| {
        let mut duo = quiet();
        duo.hear(&format!(r#"[0,"wu",["exchange","BTC",1,0,1,{description},{meta}]]"#));
        duo.drain().into_iter().find_map(|event| match event {
            VenueEvent::Rows(mut rows) => Some(rows.remove(0).cause),
            _ => None,
        })
    };
    assert!(cause("null", "null").unwrap().is_none());
    let odd = cause("\"a \\u00e9\"", "{\"reason\": \"TRADE\",\"n\":1e-8}").unwrap().unwrap();
    assert_eq!(odd.description.as_deref(), Some("a é"));
    assert_eq!(odd.venue.unwrap().get(), "{\"reason\": \"TRADE\",\"n\":1e-8}");
    let long = format!("{{\"reason\":\"TRADE\",\"x\":\"{}\"}}", "y".repeat(5_000));
    let kept = cause(&format!("\"{}\"", "z".repeat(2_000)), &long).unwrap().unwrap();
    assert!(kept.venue.is_none() && kept.description.is_none() && kept.kind == CauseKind::Trade);
    let kinds = [
        ("Trading fees for 0.05 LTC (LTCUST) @ 51.872 on BFX (0.2%)", CauseKind::Fee),
        ("Exchange 0.4 LTC for UST @ 65.075", CauseKind::Trade),
        ("Deposit (BTC) #1 on wallet exchange", CauseKind::Deposit),
        ("BTC Withdrawal #1 on wallet exchange", CauseKind::Withdrawal),
        ("Transfer of 1.0 BTC from wallet Exchange to Deposit on wallet exchange", CauseKind::Transfer),
        ("Margin Funding Payment on wallet funding", CauseKind::Interest),
        ("Adjustment on wallet exchange", CauseKind::Adjustment),
        ("Settlement", CauseKind::Other),
    ];
    for (text, kind) in kinds {
        assert_eq!(cause(&format!("{text:?}"), "null").unwrap().unwrap().kind, kind, "{text}");
    }
}

#[test]
fn unsettled_interest_is_told_as_an_extra() {
    let extra = |interest: &str| {
        let text = format!(r#"[0,"wu",["margin","USD",1,{interest},1,null,null]]"#);
        let Ok(Message::Wallet(Ok(row))) = wire::decode(&text) else { panic!("a row") };
        row.extra().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(extra("0"), "unsettled_interest=0");
    assert_eq!(extra("-1.5e-7"), "unsettled_interest=-0.00000015");
    assert_eq!(extra("null"), "");
}

fn number() -> impl Strategy<Value = String> {
    ("-?(0|[1-9][0-9]{0,40})", "[0-9]{0,40}").prop_filter_map("a negative zero has no sign", |(whole, fraction)| {
        let text = if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") };
        let zero = text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
        (!zero || !text.starts_with('-')).then_some(text)
    })
}

proptest! {
    #[test]
    fn no_digit_is_lost(balance in number(), interest in number(), available in number(), quoted: bool) {
        let write = |n: &str| if quoted { format!("\"{n}\"") } else { n.to_owned() };
        let row = format!(r#"["exchange","BTC",{},{},{},null,null]"#, write(&balance), write(&interest), write(&available));
        for frame in [format!(r#"[0,"wu",{row}]"#), format!(r#"[0,"ws",[{row}]]"#)] {
            let row = match wire::decode(&frame) {
                Ok(Message::Wallet(Ok(row))) => row,
                Ok(Message::Wallets(mut rows)) => rows.remove(0).unwrap(),
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(row.balance.as_str(), &balance);
            prop_assert_eq!(row.available.map(|a| a.to_string()), Some(available.clone()));
            prop_assert_eq!(row.unsettled_interest.map(|a| a.to_string()), Some(interest.clone()));
        }
    }

    #[test]
    fn decoding_never_panics(text in "\\PC{0,80}") {
        let _ = wire::decode(&text);
        let _ = wire::decode_answer(text.as_bytes());
    }

    #[test]
    fn mangled_frames_never_panic_and_never_invent_a_row(cut in 0usize..250, insert in "[\\[\\]{},\":0-9a-z null-]{0,6}") {
        let frame = fixture!("wu_source.json");
        let cut = cut.min(frame.len());
        let mangled = format!("{}{insert}{}", &frame[..cut], &frame[cut..]);
        let mut session = connect(&spec(&sample()), &Shared::default()).unwrap_or_else(|_| panic!("valid")).session(1);
        session.on_open(Now::default(), &mut Out::default());
        session.on_frame(Now::default(), Frame::Text(&mangled), &mut Out::default());
        if serde_json::from_str::<&RawValue>(&mangled).is_err() {
            prop_assert!(wire::decode(&mangled).is_err());
        }
    }

    #[test]
    fn any_json_is_survived(kind in "ws|wu|hb|calc|n", body in "[\\[\\]{},\":0-9a-z null.eE-]{0,40}") {
        let _ = wire::decode(&format!(r#"[0,"{kind}",{body}]"#));
        let _ = wire::decode(&format!(r#"{{"event":"{kind}","caps":{body}}}"#));
    }
}

//! The edge cases of the venue, in the order of `docs/venues.md`.

use super::*;

#[test]
fn null_available_is_unknown_and_not_zero() {
    let frames = heard(r#"[0,"wu",["exchange","BTC",1,0,null,null,null]]"#);
    assert_eq!(frames, ["rows [exchange BTC 1/unknown]"]);
    assert_eq!(heard(r#"[0,"wu",["exchange","BTC",1,0,0,null,null]]"#), ["rows [exchange BTC 1/0]"]);
}

#[test]
fn a_null_after_a_known_available_is_told_and_asked_for() {
    let mut duo = quiet();
    duo.fault("null_available");
    duo.moves(&deposit("BTC", "0.1"));
    assert_eq!(said(&mut duo), ["rows [exchange BTC 1.71169184/unknown]"]);
    duo.pass(250);
    assert_eq!(duo.sent.last().unwrap(), r#"[0,"calc",null,[["wallet_exchange_BTC"]]]"#);
    assert_eq!(said(&mut duo), ["rows [exchange BTC 1.71169184/1.71169184]"]);
}

#[test]
fn numbers_are_read_from_their_text() {
    let dust = "[exchange JPY -0.00000001/-0.00000001, exchange BTC 0.00000057/0.00000057, exchange ETH 0.00000001/unknown]";
    assert_eq!(heard(fixture!("ws_dust.json"))[0], format!("snapshot Account {dust}"));
    assert_eq!(heard(fixture!("ws_dec_s.json"))[0], "snapshot Account [exchange SAN 19.76/19.760]");
    let long = heard(r#"[0,"wu",["exchange","SHIB",420690000000000.123456789012345678,0,1e-30,null,null]]"#);
    let expected = "420690000000000.123456789012345678/0.000000000000000000000000000001";
    assert_eq!(long, [format!("rows [exchange SHIB {expected}]")]);
}

#[test]
fn longer_rows_and_further_elements_are_ignored() {
    assert_eq!(heard(fixture!("wu_wide.json")), ["rows [exchange BTC 1.61169184/1.2]"]);
    assert_eq!(heard(fixture!("wu_flags.json")), ["rows [exchange BTC 1.61169184/unknown]"]);
    let mut duo = quiet();
    duo.fault("wide_rows");
    duo.moves(&deposit("BTC", "1"));
    assert_eq!(said(&mut duo), ["rows [exchange BTC 2.61169184/2.61169184]"]);
}

#[test]
fn rows_of_five_fields_and_unknown_wallet_types_are_taken() {
    assert_eq!(heard(fixture!("wu_five_fields.json")), ["rows [lending ABC 2/1]"]);
}

#[test]
fn rows_of_fewer_fields_are_refused_and_unproven() {
    let mut duo = duo();
    duo.fault("short_row");
    assert_eq!(said(&mut duo), ["malformed: wu: field BALANCE_AVAILABLE is missing", "unproven exchange BTC"]);
    duo.pass(3_000);
    assert!(said(&mut duo).iter().any(|event| event.starts_with("reconcile Zero")), "the venue is asked soon");
    assert!(duo.closed.is_none());
}

#[test]
fn other_kinds_and_channels_are_ignored() {
    let none: [&str; 0] = [];
    for text in [fixture!("bu.json"), fixture!("n.json"), fixture!("public_channel.json"), r#"[0,"xyz"]"#, r#"{"event":"new"}"#]
    {
        assert_eq!(heard(text), none, "{text}");
    }
}

#[test]
fn one_currency_in_two_wallets_is_two_rows_and_codes_stay_verbatim() {
    let expected = "snapshot Account [exchange LTC 0.05479727/unknown, margin USTF0 11.960650700086292/unknown, \
                    exchange BTC 1.5/1.5, margin BTC 0.3/0.25, exchange UST 7/7]";
    assert_eq!(heard(fixture!("ws_two_wallets.json"))[0], expected);
}

#[test]
fn an_empty_ws_is_a_snapshot_of_nothing() {
    assert_eq!(heard(fixture!("ws_empty.json")), ["snapshot Account []", "synced"]);
    let venue = Venue {
        sample: || {
            let mut sample = sample();
            sample.account.book = Book::default();
            sample
        },
        ..VENUE
    };
    let mut sample = (venue.sample)();
    sample.account.book = Book::default();
    let mut duo = Duo::new(&venue);
    assert_eq!(said(&mut duo)[1..], ["snapshot Account []", "synced"]);
}

#[test]
fn a_second_ws_replaces_everything() {
    let mut duo = quiet();
    for asset in ["BTC", "USD", "SAN", "UST"] {
        duo.moves(&set("exchange", asset, "0"));
    }
    said(&mut duo);
    duo.fault("ws_again");
    let listed = "exchange JPY -0.00000001/-0.00000001, funding USD 1000.00000057/150.00000057, margin BTC 0.30/0.25, \
                  margin USTF0 11.960650700086292/6.776250700086292";
    assert_eq!(said(&mut duo), [format!("snapshot Account [{listed}]"), "synced".into()]);
}

#[test]
fn a_fill_comes_as_amounts_and_fee() {
    let mut duo = quiet();
    duo.moves(&place("78.046"));
    said(&mut duo);
    duo.moves(&Move::Fill {
        account: "bfx-main".into(),
        wallet: "exchange".into(),
        order: "34988418651".into(),
        spend: "USD".into(),
        spent: amount("78.046"),
        gain: "BTC".into(),
        gained: amount("0.01"),
        fee: amount("0.00002"),
        price: amount("7804.6"),
        done: true,
    });
    let events = duo.drain();
    let told: Vec<_> = events.iter().filter(|event| !matches!(event, VenueEvent::Alive)).map(say).collect();
    let spent = "rows [exchange USD 24922.454/24922.454]";
    let (gross, net) = ("rows [exchange BTC 1.62169184/unknown]", "rows [exchange BTC 1.62167184/1.62167184]");
    assert_eq!(told, [gross, spent, net]);
    let causes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            VenueEvent::Rows(rows) => rows[0].cause.as_ref(),
            _ => None,
        })
        .collect();
    assert_eq!(causes.iter().map(|c| c.kind).collect::<Vec<_>>(), [CauseKind::Trade, CauseKind::Trade, CauseKind::Fee]);
    assert_eq!(causes[0].description.as_deref(), Some("Exchange 0.01 BTC for USD @ 7804.6"));
    assert!(causes[0].venue.as_ref().unwrap().get().starts_with(r#"{"reason":"TRADE","order_id":34988418651,"#));
    assert!(causes[2].venue.is_none());
    duo.pass(1_000);
    assert!(!duo.sent.iter().any(|frame| frame.contains("calc")), "the fee settled what the amount left unknown");
}

#[test]
fn nonces_rise_over_the_stream_and_rest() {
    let mut duo = duo();
    duo.pass(66_000);
    assert_eq!(duo.calls, ["POST /v2/auth/r/wallets"; 2]);
    let events = said(&mut duo);
    assert!(events.contains(&"duty fine".to_owned()), "the simulator refuses a nonce that does not rise: {events:?}");
    assert!(!events.iter().any(|event| event.starts_with("duty ") && event != "duty fine"));
}

#[test]
fn a_nonce_called_small_is_raised_and_retried() {
    let mut duo = Duo::new(&venue_with(|setup| faulty(setup, &["nonce_small_once"])));
    assert_eq!(duo.sent.len(), 2, "refused once, then accepted");
    assert!(duo.heard[1].contains("10114"));
    assert!(said(&mut duo).contains(&"synced".to_owned()));
    duo.pass(2_000);
    assert!(said(&mut duo).contains(&"duty fine".to_owned()), "REST goes on above it");
}

#[test]
fn a_nonce_that_stays_small_ends_in_a_clock_problem() {
    let mut session = connect(&spec(&sample()), &Shared::default()).unwrap_or_else(|_| panic!("valid")).session(1);
    let mut out = Out::default();
    session.on_open(Now::default(), &mut out);
    for _ in 0..4 {
        session.on_frame(Now::default(), Frame::Text(fixture!("auth_failed_10114.json")), &mut out);
    }
    let logins = out.actions.iter().filter(|action| matches!(action, Action::Send(_))).count();
    assert_eq!(logins, 4, "one login and three attempts");
    let Some(Action::Close(closing)) = out.actions.last() else { panic!("closed") };
    assert_eq!((closing.class, closing.reason.code), (ErrorClass::CredentialMaybe, ReasonCode::ClockSkew));
}

#[test]
fn one_invalid_key_is_no_proof() {
    let duo = Duo::new(&venue_with(|setup| faulty(setup, &["apikey_invalid_once"])));
    assert_eq!(closed(&duo), (ErrorClass::CredentialMaybe, ReasonCode::AuthUncertain));
    let mut duo = quiet();
    duo.hear(fixture!("auth_fail.json"));
    assert_eq!(closed(&duo), (ErrorClass::CredentialMaybe, ReasonCode::AuthUncertain));
}

#[test]
fn a_wrong_secret_is_a_wrong_key() {
    let wrong = |spec: &mut AccountSpec| {
        spec.credentials = Credentials::plain([("api_key", "bfx-sample-key"), ("api_secret", "another")]);
    };
    let duo = Duo::with(&VENUE, wrong, BTreeMap::new());
    assert_eq!(closed(&duo), (ErrorClass::Credential, ReasonCode::WrongKey));
}

#[test]
fn a_venue_that_is_not_ready_or_limits_us_is_left_alone() {
    let refused = |code: u32| {
        let mut duo = quiet();
        duo.hear(&format!(r#"{{"event":"auth","status":"FAILED","code":{code}}}"#));
        closed(&duo)
    };
    assert_eq!(refused(11000), (ErrorClass::Maintenance { wait_ms: 30_000 }, ReasonCode::Maintenance));
    assert_eq!(refused(11010), (ErrorClass::RateLimited { wait_ms: 60_000 }, ReasonCode::RateLimited));
}

#[test]
fn five_connections_in_fifteen_seconds_span_all_accounts() {
    let shared = Shared::default();
    let mut first = spec(&sample());
    first.ws_url = VENUE.ws_url.into();
    first.rest_url = VENUE.rest_url.into();
    let mut second = first.clone();
    second.id = "bfx-desk".into();
    assert!(connect(&first, &shared).is_ok() && connect(&second, &shared).is_ok());
    let host = shared.host(VENUE.ws_url, VENUE.limits);
    let granted = (0..9).filter(|_| host.lock().connect(Mono(1)).is_ok()).count();
    assert_eq!(granted, 5, "stream and REST share the host's budget, whatever the account");

    let mut sim = sim::simulate(SimSetup { accounts: vec![sample().account], seed: 1 });
    let request = SimRequest { method: "GET".into(), path: "/ws/2".into(), ..SimRequest::default() };
    let connect = |sim: &mut Box<dyn Sim>, id, at: Now| sim.on_connect(at, ConnId(id), &request, &mut SimOut::default());
    for id in 0..5 {
        connect(&mut sim, id, Now::default()).unwrap();
    }
    assert_eq!(connect(&mut sim, 5, Now::default()).unwrap_err().status, 429);
    connect(&mut sim, 6, Now::default().plus_ms(15_000)).unwrap();
}

#[test]
fn heartbeats_keep_a_quiet_connection_live() {
    let mut duo = quiet();
    duo.pass(300_000);
    assert!(duo.closed.is_none());
    assert_eq!(duo.drain().len(), 20, "one proof of life each 15 s");
}

#[test]
fn silence_means_death_although_the_socket_answers() {
    let mut duo = quiet();
    duo.fault("silence");
    duo.pass(29_999);
    assert!(duo.closed.is_none());
    duo.session.on_frame(duo.now, Frame::Pong, &mut Out::default());
    duo.pass(1);
    assert_eq!(closed(&duo), (ErrorClass::Transient, ReasonCode::LivenessTimeout));
}

#[test]
fn maintenance_keeps_the_socket_and_its_end_reconnects() {
    let mut duo = duo();
    duo.fault("maintenance_begin");
    assert_eq!(said(&mut duo), ["maintenance maintenance"]);
    duo.hear(fixture!("info_20060.json"));
    assert!(said(&mut duo).is_empty(), "said once");
    duo.fault("silence");
    duo.pass(120_000);
    assert!(duo.closed.is_none() && duo.calls.is_empty(), "we wait, and ask for nothing");
    duo.fault("maintenance_end");
    assert_eq!(closed(&duo), (ErrorClass::Restart, ReasonCode::VenueRestart));
}

#[test]
fn maintenance_without_end_is_looked_into() {
    let mut duo = quiet();
    duo.hear(fixture!("info_20060.json"));
    duo.pass(150_000);
    assert_eq!(closed(&duo), (ErrorClass::Maintenance { wait_ms: 30_000 }, ReasonCode::Maintenance));
}

#[test]
fn connecting_into_maintenance_is_maintenance_and_no_credential_problem() {
    let duo = Duo::new(&venue_with(|setup| faulty(setup, &["maintenance_begin"])));
    assert_eq!(closed(&duo), (ErrorClass::Maintenance { wait_ms: 30_000 }, ReasonCode::Maintenance));
}

#[test]
fn rows_of_a_ws_during_maintenance_are_taken_but_not_live() {
    let mut duo = quiet();
    duo.hear(fixture!("info_hello_maintenance.json"));
    said(&mut duo);
    duo.hear(fixture!("ws_source.json"));
    assert_eq!(said(&mut duo), ["snapshot Account [exchange SAN 19.76/unknown]"]);
}

#[test]
fn a_restart_reconnects_at_once() {
    let mut duo = quiet();
    duo.fault("restart");
    assert_eq!(closed(&duo), (ErrorClass::Restart, ReasonCode::VenueRestart));
    let mut duo = quiet();
    duo.hear(fixture!("info_20051.json"));
    assert_eq!(closed(&duo), (ErrorClass::Restart, ReasonCode::VenueRestart));
}

#[test]
fn the_end_of_maintenance_reconnects() {
    let mut duo = quiet();
    duo.hear(fixture!("info_20061.json"));
    assert_eq!(closed(&duo), (ErrorClass::Restart, ReasonCode::VenueRestart));
}

#[test]
fn sequence_numbers_are_neither_asked_for_nor_believed() {
    let mut duo = quiet();
    assert!(!duo.sent.iter().any(|frame| frame.contains("conf")));
    for frame in [r#"[0,"hb",5]"#, r#"[0,"hb",9]"#, r#"[0,"wu",["exchange","BTC",1,0,1],3,2]"#, r#"[0,"hb",9]"#] {
        duo.hear(frame);
    }
    assert_eq!(said(&mut duo), ["rows [exchange BTC 1/1]"]);
    assert!(duo.closed.is_none());
    assert!(matches!(wire::decode(fixture!("hb_sequence.json")), Ok(Message::Heartbeat)));
}

#[test]
fn calc_keeps_to_eight_a_second_and_thirty_a_message() {
    let mut calc = Calc::new(budget());
    for n in 0..100 {
        calc.want(&"exchange".into(), &Name::from(format!("C{n}")), Mono(0));
    }
    let (mut now, mut asked) = (Mono(1), Vec::new());
    while asked.len() < 100 {
        if let Some(frame) = calc.poll(now) {
            let items = frame.matches("wallet_").count();
            assert!(items <= 30);
            asked.extend(std::iter::repeat_n(now, items));
        }
        let next = calc.deadline().expect("rows are in need");
        assert!(next > now, "time moves on");
        now = next;
    }
    for window in asked.windows(9) {
        assert!(window[8].since_ms(window[0]) >= 1000);
    }
}

#[test]
fn calc_asks_each_row_in_need_once_until_answered_or_given_up() {
    let (wallet, usd, btc) = (Name::from("exchange"), Name::from("USD"), Name::from("BTC"));
    let at = |ms| Mono::default().plus_ms(ms);
    let mut calc = Calc::new(budget());
    calc.want(&wallet, &usd, at(0));
    calc.want(&wallet, &btc, at(0));
    calc.settled(&wallet, &btc);
    assert_eq!(calc.poll(at(0)).unwrap(), r#"[0,"calc",null,[["wallet_exchange_USD"]]]"#);
    calc.want(&wallet, &usd, at(100));
    assert!(calc.poll(at(29_999)).is_none(), "asked once");
    assert!(calc.poll(at(30_000)).is_some(), "unanswered, and still in need");
    calc.settled(&wallet, &usd);
    assert!(calc.poll(at(60_000)).is_none() && calc.poll(at(99_000)).is_none() && calc.deadline().is_none());
}

#[test]
fn calc_holds_a_bounded_number_of_rows() {
    let mut calc = Calc::new(budget());
    for n in 0..10_000 {
        calc.want(&"exchange".into(), &Name::from(format!("C{n}")), Mono(0));
    }
    let mut asked = std::collections::BTreeSet::new();
    for second in 0..300 {
        if let Some(frame) = calc.poll(Mono::default().plus_ms(second * 1_000)) {
            asked.extend(frame.split('"').filter(|part| part.starts_with("wallet_")).map(str::to_owned));
        }
    }
    assert_eq!(asked.len(), 1_024);
}

#[test]
fn the_simulator_refuses_calc_beyond_the_limits() {
    let mut duo = quiet();
    let ask = |duo: &mut Duo, count: usize| {
        let items = vec![r#"["wallet_exchange_BTC"]"#; count].join(",");
        let mut out = SimOut::default();
        duo.sim.on_frame(duo.now, ConnId(1), &format!(r#"[0,"calc",null,[{items}]]"#), &mut out);
        out.actions.iter().map(|action| format!("{action:?}")).collect::<Vec<_>>()
    };
    assert!(ask(&mut duo, 31)[0].contains("too many items"));
    assert_eq!(ask(&mut duo, 8).len(), 8);
    assert!(ask(&mut duo, 1)[0].contains("ratelimit"));
    duo.pass(1_000);
    assert_eq!(ask(&mut duo, 1).len(), 1);
}

#[test]
fn calc_is_never_sent_for_rows_not_in_need() {
    let mut duo = quiet();
    duo.moves(&deposit("BTC", "1"));
    duo.moves(&place("100"));
    duo.pass(60_000);
    assert!(!duo.sent.iter().any(|frame| frame.contains("calc")));
}

#[test]
fn an_unanswered_calc_leaves_the_row_unknown_and_the_session_alive() {
    let mut duo = quiet();
    duo.fault("calc_silence");
    duo.fault("null_available");
    duo.moves(&deposit("BTC", "1"));
    duo.pass(29_000);
    assert_eq!(duo.sent.iter().filter(|frame| frame.contains("calc")).count(), 1);
    assert_eq!(said(&mut duo), ["rows [exchange BTC 2.61169184/unknown]"]);
    assert!(duo.closed.is_none());
}

#[test]
fn an_error_while_a_calc_is_out_pauses_calc() {
    let mut duo = quiet();
    duo.fault("null_available");
    duo.fault("calc_silence");
    duo.moves(&deposit("BTC", "1"));
    duo.pass(500);
    duo.hear(r#"{"event":"error","code":11010,"msg":"calc: ratelimit"}"#);
    duo.moves(&deposit("SAN", "1"));
    duo.pass(9_000);
    assert_eq!(duo.sent.iter().filter(|frame| frame.contains("calc")).count(), 1);
    duo.pass(1_500);
    assert_eq!(duo.sent.last().unwrap(), r#"[0,"calc",null,[["wallet_exchange_SAN"]]]"#);
}

#[test]
fn a_key_without_wallets_permission_is_told() {
    for faults in [&["no_wallets_permission"][..], &["no_wallets_permission", "caps_as_string"]] {
        let duo = if faults.len() == 1 {
            Duo::new(&venue_with(|setup| faulty(setup, &["no_wallets_permission"])))
        } else {
            Duo::new(&venue_with(|setup| faulty(setup, &["no_wallets_permission", "caps_as_string"])))
        };
        assert_eq!(closed(&duo), (ErrorClass::Credential, ReasonCode::MissingPermission), "{faults:?}");
    }
}

#[test]
fn a_key_that_may_trade_is_warned_of() {
    let mut duo = Duo::new(&venue_with(|setup| faulty(setup, &["trade_permission"])));
    let events = duo.drain();
    let warnings = events.iter().find_map(|event| if let VenueEvent::Facts(f) = event { f.warnings.clone() } else { None });
    let [warning] = &warnings.unwrap()[..] else { panic!("one warning") };
    assert!(warning.contains("trade"), "{warning}");
}

#[test]
fn a_key_that_may_withdraw_is_warned_of() {
    let mut duo = Duo::new(&venue_with(|setup| faulty(setup, &["withdraw_permission", "caps_as_string"])));
    let events = duo.drain();
    let facts = events.iter().find_map(|event| if let VenueEvent::Facts(facts) = event { Some(facts) } else { None }).unwrap();
    assert!(facts.warnings.as_ref().unwrap()[0].contains("withdraw"));
    assert!(facts.permissions.as_ref().unwrap().get().starts_with(r#"{"orders":{"read":0,"write":0},"#), "an object again");
}

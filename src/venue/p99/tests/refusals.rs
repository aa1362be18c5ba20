//! Refusals on the socket and by REST, and what the session makes of each.

use super::*;

fn refused(token: &str) -> (ErrorClass, ReasonCode) {
    let duo = Duo::with(&VENUE, |spec| jwt(spec, token), BTreeMap::new());
    let closed = duo.closed.expect("it closes: the venue does not");
    (closed.class, closed.reason.code)
}

// Edge case 8.
#[test]
fn an_expired_token_is_told_from_a_wrong_one() {
    let expired = sim::token(&secret(), "p99-main", 1_700_000_000, OPENED_S - 1);
    assert_eq!(refused(&expired), (ErrorClass::Credential, ReasonCode::TokenExpired));
    let forged = sim::token("another secret", "p99-main", 1_700_000_000, OPENED_S + 1_000);
    assert_eq!(refused(&forged), (ErrorClass::Credential, ReasonCode::WrongKey));
    let another = sim::token(&secret(), "somebody else", 1_700_000_000, OPENED_S + 1_000);
    assert_eq!(refused(&another), (ErrorClass::Credential, ReasonCode::WrongKey));
}

// Edge case 8.
#[test]
fn a_token_that_worked_before_has_expired_when_it_is_refused() {
    let spec = testkit::spec(&(VENUE.sample)());
    let connector = (VENUE.connect)(&spec, &Shared::default()).unwrap();
    let mut code = Vec::new();
    for answers in [vec![], vec![r#"{"type":"auth_result","success":true}"#]] {
        let (mut session, mut out) = (connector.session(1), Out::default());
        for text in answers {
            session.on_frame(Now::default(), Frame::Text(text), &mut out);
        }
        let mut session = connector.session(2);
        session.on_frame(Now::default(), Frame::Text(include_str!("../fixtures/auth_result_refused.json")), &mut out);
        code.extend(out.actions.into_iter().filter_map(|action| match action {
            Action::Close(closing) => Some(closing.reason.code),
            _ => None,
        }));
    }
    assert_eq!(code, [ReasonCode::WrongKey, ReasonCode::TokenExpired]);
}

// Edge case 8.
#[test]
fn a_refused_timestamp_is_a_matter_of_clocks() {
    let mut hand = Hand::new();
    hand.hear(include_str!("../fixtures/auth_result_refused_timestamp.json"));
    let closed = hand.closed.unwrap();
    assert_eq!((closed.class, closed.reason.code), (ErrorClass::CredentialMaybe, ReasonCode::ClockSkew));
}

#[test]
fn a_plain_word_of_expiry_is_believed() {
    let opaque = auth::refused_login("Token expired", None, UnixMs(0));
    assert_eq!(opaque.1, ReasonCode::AuthUncertain);
    let suspect = || Some(auth::Suspect { expires: None, accepted_before: false });
    let past = Some(auth::Suspect { expires: Some(UnixMs(5)), accepted_before: false });
    assert_eq!(auth::refused_login("Invalid token", past, UnixMs(5)).1, ReasonCode::TokenExpired);
    assert_eq!(auth::refused_login("Token expired", suspect(), UnixMs(0)).1, ReasonCode::TokenExpired);
    // On a first login the venue's usual words prove neither.
    let (_, code, text) = auth::refused_login("Invalid or expired token", suspect(), UnixMs(0));
    assert!(code == ReasonCode::WrongKey && text.contains("invalid or expired"), "{text}");
    assert_eq!(auth::refused_login("Signature verification failed", suspect(), UnixMs(0)).1, ReasonCode::WrongKey);
}

#[test]
fn each_error_of_the_socket_has_its_class() {
    let cases = [
        (include_str!("../fixtures/error_invalid_channel.json"), ErrorClass::Configuration, ReasonCode::SubscribeRefused),
        (include_str!("../fixtures/error_auth_required.json"), ErrorClass::CredentialMaybe, ReasonCode::AuthUncertain),
        (include_str!("../fixtures/error_forbidden.json"), ErrorClass::Credential, ReasonCode::MissingPermission),
        (include_str!("../fixtures/error_invalid_message.json"), ErrorClass::Protocol, ReasonCode::ProtocolError),
    ];
    for (text, class, code) in cases {
        let mut hand = Hand::new();
        hand.hear(r#"{"type":"auth_result","success":true}"#);
        hand.hear(text);
        let closed = hand.closed.expect("it closes: the venue does not");
        assert_eq!((closed.class, closed.reason.code), (class, code));
    }
}

#[test]
fn an_error_that_answers_nothing_does_not_end_a_living_stream() {
    for text in [include_str!("../fixtures/error_invalid_message.json"), r#"{"type":"error","code":"NEW","message":""}"#] {
        let mut hand = Hand::live();
        assert_eq!(hand.hear(text), ["malformed"]);
        assert!(hand.closed.is_none());
    }
}

#[test]
fn a_forgotten_login_ends_the_connection() {
    let mut duo = live();
    duo.fault("forget_logins");
    assert_eq!(duo.closed.expect("a new login is needed").reason.code, ReasonCode::AuthUncertain);
}

// ---- refusals by REST ----

// Edge case 9.
#[test]
fn an_expired_token_on_a_living_socket_degrades_until_a_new_one_comes() {
    let token = sim::token(&secret(), "p99-main", 1_700_000_000, OPENED_S + 60);
    let mut credentials = None;
    let mut duo = Duo::with(
        &VENUE,
        |spec| {
            jwt(spec, &token);
            credentials = Some(spec.credentials.clone());
        },
        options(&[("reconcile_ms", 3_600_000)]),
    );
    duo.pass(50_000);
    duo.drain();
    duo.pass(10_000);
    assert_eq!(told(&mut duo), ["duty token_expired"], "at the time the token names");
    duo.moves(&adjust("DF", "1"));
    assert_eq!(told(&mut duo), ["rows DF 10001+100=10101"], "the stream goes on");
    duo.pass(120_000);
    assert_eq!(told(&mut duo), [""; 0], "said once");
    assert!(duo.closed.is_none());
    let fresh = sim::token(&secret(), "p99-main", OPENED_S + 100, OPENED_S + 3_600);
    let fresh = BTreeMap::from([("jwt".to_owned(), fresh.into())]);
    assert!(credentials.unwrap().replace(fresh));
    let before = duo.calls.len();
    let mut out = Out::default();
    duo.session.on_credentials(duo.now, &mut out);
    let Some(Action::Call(call)) = out.actions.pop() else { panic!("REST is asked at once") };
    let request = SimRequest {
        method: call.method.into(),
        path: call.path,
        headers: call.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect(),
        body: String::new(),
    };
    let reply = duo.sim.on_request(duo.now, &request, &mut crate::venue::sim::SimOut::default());
    let mut out = Out::default();
    duo.session.on_reply(duo.now, call.id, Ok(Reply { status: reply.status, body: reply.body.as_bytes() }), &mut out);
    let events: Vec<_> =
        out.actions.into_iter().filter_map(|a| if let Action::Event(e) = a { line(&e) } else { None }).collect();
    assert_eq!(events, [book_line("reconcile", &duo), "duty fine".to_owned()]);
    assert_eq!(duo.calls.len(), before);
}

#[test]
fn a_new_token_is_tried_at_once_even_while_the_old_one_is_being_refused() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    hand.answer(401, "");
    hand.act(|session, now, out| session.on_credentials(now, out));
    assert!(hand.call.is_some(), "no pause is waited for");
    hand.act(|session, now, out| session.on_credentials(now, out));
    assert_eq!(hand.answer(401, ""), [""; 0], "that was the token before");
    assert!(hand.call.is_some());
    assert_eq!(hand.answer(200, "[]"), ["reconcile ", "duty fine"]);
}

#[test]
fn a_token_that_the_venue_ends_early_degrades_too() {
    let mut duo = live();
    duo.pass(1_000);
    duo.fault("expire_tokens");
    duo.pass(36_000);
    assert_eq!(told(&mut duo), ["duty token_expired"]);
    assert!(duo.closed.is_none());
}

// Edge case 10.
#[test]
fn a_refusal_with_an_empty_body_is_a_refusal_and_no_broken_json() {
    let mut hand = Hand::asking();
    assert_eq!(hand.answer(401, ""), ["syncing token_expired"]);
    let mut hand = Hand::live();
    hand.until_call(10_000);
    assert_eq!(hand.answer(401, ""), ["duty token_expired"]);
}

#[test]
fn a_seed_that_fails_is_asked_for_again_and_the_account_stays_syncing() {
    let mut hand = Hand::asking();
    let mut pauses = Vec::new();
    for round in 0..8 {
        let told = hand.answer(500, r#"{"error":"internal error"}"#);
        assert_eq!(told, if round == 0 { vec!["syncing reconcile_failed"] } else { vec![] });
        pauses.push(hand.until_call(100_000).0);
    }
    assert!((800..=1_200).contains(&pauses[0]) && (24_000..=36_000).contains(&pauses[7]), "{pauses:?}");
    assert_eq!(hand.answer(200, "[]"), ["snapshot ", "synced", "duty fine"]);
}

#[test]
fn a_busy_engine_is_asked_again_in_the_manuals_rhythm_before_anything_is_said() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    for pause in [200, 400, 800] {
        assert_eq!(hand.answer(503, include_str!("../fixtures/rest_engine_busy.json")), [""; 0]);
        assert_eq!(hand.until_call(10_000).0, pause);
    }
    assert_eq!(hand.answer(503, include_str!("../fixtures/rest_engine_busy.json")), ["duty reconcile_failed"]);
    hand.until_call(100_000);
    assert_eq!(hand.answer(200, "[]"), ["reconcile ", "duty fine"]);
}

#[test]
fn rest_that_fails_degrades_and_rest_that_answers_mends() {
    for (fault, first) in [
        ("rest_500", vec!["duty reconcile_failed"]),
        ("rest_401", vec!["duty token_expired"]),
        ("rest_cut", vec!["malformed", "duty reconcile_failed"]),
        ("rest_429", vec!["duty rate_limited"]),
    ] {
        let mut duo = live();
        duo.fault(fault);
        duo.pass(120_000);
        let told = told(&mut duo);
        assert_eq!(told[..first.len()], first, "{fault}");
        assert_eq!(told[first.len() + 1], "duty fine", "{fault}");
    }
}

#[test]
fn a_request_without_an_answer_is_asked_again() {
    for error in [CallError::Timeout, CallError::Unreachable, CallError::TooLarge] {
        let mut hand = Hand::live();
        hand.until_call(10_000);
        let id = hand.call.take().unwrap();
        let told = hand.act(|session, now, out| session.on_reply(now, id, Err(error), out));
        assert_eq!(told, ["duty reconcile_failed"]);
        assert!(hand.until_call(2_000).0 <= 1_200);
    }
}

#[test]
fn too_many_requests_exhaust_the_hosts_budget_for_all() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    assert_eq!(hand.answer(429, ""), ["duty rate_limited"]);
    assert!(hand.until_call(200_000).0 >= 60_000);
}

#[test]
fn a_comparison_that_the_budget_puts_off_for_long_degrades() {
    let shared = Shared::default();
    let mut hand = Hand::sharing(&shared).ask();
    hand.answer(200, include_str!("../fixtures/rest_balances_object.json"));
    // Another account of the host was refused.
    shared.host(&testkit::spec(&(VENUE.sample)()).rest_url, VENUE.limits).lock().calls_overrun(hand.now.mono);
    let (pause, told) = hand.until_call(200_000);
    assert!(pause >= 59_000 && told == ["duty rate_limited"], "{pause} {told:?}");
    assert_eq!(hand.answer(200, "[]"), ["reconcile ", "duty fine"]);
}

#[test]
fn a_difference_is_asked_about_soon() {
    let mut duo = live();
    let before = duo.calls.len();
    duo.session.on_verdict(duo.now, Verdict { doubted: 1, corrected: 0 }, &mut Out::default());
    duo.pass(2_000);
    assert_eq!(duo.calls.len(), before + 1);
    duo.session.on_verdict(duo.now, Verdict { doubted: 0, corrected: 1 }, &mut Out::default());
    duo.pass(2_000);
    assert_eq!(duo.calls.len(), before + 1);
}

#[test]
fn rest_may_lag_behind_the_stream() {
    let mut duo = live();
    duo.moves(&adjust("DF", "1"));
    duo.drain();
    duo.fault("rest_behind");
    duo.pass(36_000);
    assert!(told(&mut duo)[0].contains("DF 10000+100"), "told as asked: the store doubts it once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happened_the_last_comparison_is_the_book(steps in proptest::collection::vec((0usize..26, 1u64..9_000), 1..25)) {
        // What rightly ends the connection (two lost acknowledgements in a row among it), or REST for good.
        let ends = ["restart", "forget_logins", "expire_tokens", "drop_next_ack"];
        let mut duo = live();
        let faults: Vec<_> = duo.sim.faults().iter().map(|(name, _)| *name).filter(|name| !ends.contains(name)).collect();
        for (step, pause) in steps {
            match faults.get(step) {
                Some(fault) => duo.fault(fault),
                None => {
                    let moves = [deposit("BNB", "0.1"), adjust("NEW", "1"), place("USDT", "15"), fill(), cancel("DF", "1")];
                    let mut out = crate::venue::sim::SimOut::default();
                    let mv = &moves[step % moves.len()];
                    // A move the book refuses changes nothing.
                    if duo.sim.on_move(duo.now, mv, &mut out).is_ok() {
                        for action in out.actions {
                            if let crate::venue::sim::SimAction::Send(_, text) = action {
                                duo.hear(&text);
                            }
                        }
                    }
                }
            }
            duo.pass(pause);
        }
        // Faults that wait for requests add up: as many refusals as were thrown must be worn off.
        duo.pass(1_500_000);
        prop_assert!(duo.closed.is_none());
        let told = told(&mut duo);
        prop_assert_eq!(told.last().unwrap(), &book_line("reconcile", &duo));
    }
}

#[test]
fn an_operators_resync_fetches_the_seed_anew_and_loses_nothing() {
    let mut duo = live();
    duo.moves(&deposit("USDC", "5"));
    let mut out = Out::default();
    duo.session.resync(duo.now, &mut out);
    assert!(matches!(out.actions[0], Action::Event(VenueEvent::Resynced { reason: "operator" })));
    let mut hand = Hand::live();
    let told = hand.act(|session, now, out| session.resync(now, out));
    assert_eq!(told, ["resynced operator"]);
    assert_eq!(hand.answer(200, "[]"), ["snapshot ", "synced"]);
}

#[test]
fn an_answer_asked_before_a_resync_is_not_its_snapshot() {
    let mut hand = Hand::live();
    hand.until_call(10_000);
    hand.act(|session, now, out| session.resync(now, out));
    assert_eq!(hand.answer(200, "[]"), [""; 0]);
    hand.until_call(10_000);
    assert_eq!(hand.answer(200, "[]"), ["snapshot ", "synced"]);
}

const ODD: &str = r#"{"balances":[{"token":"DF","available":"7","frozen":"0"},{"token":"ODD","available":"x","frozen":"0"}]}"#;

#[test]
fn an_unreadable_row_of_the_list_takes_nothing_from_the_others() {
    let mut hand = Hand::asking();
    let seed = "snapshot DF 7+0=7, ODD unsaid";
    assert_eq!(hand.answer(200, ODD), ["malformed", seed, "synced", "unproven ODD"]);
    hand.until_call(60_000);
    let compared = "reconcile DF 7+0=7, ODD unsaid";
    assert_eq!(hand.answer(200, ODD), ["malformed", compared], "a push since the request left stands: the store knows");
    hand.until_call(60_000);
    let twice = ODD.replace("ODD", "DF");
    assert_eq!(hand.answer(200, &twice), ["malformed", "reconcile DF unsaid"]);
}

#[test]
fn a_row_without_a_token_is_left_out_aloud() {
    let mut hand = Hand::asking();
    let seed = ["malformed", "omitted protocol_error", "snapshot DF 7+0=7", "synced"];
    assert_eq!(hand.answer(200, &ODD.replace("\"ODD\"", "null")), seed);
    let mut hand = Hand::asking();
    let told = hand.answer(200, r#"[{"available":"1","frozen":"0"}]"#);
    assert_eq!(told, ["malformed", "syncing reconcile_failed"], "rows that nobody can name are no list");
}

#[test]
fn a_list_that_could_not_be_read_whole_is_asked_for_again_even_without_comparisons() {
    let mut spec = testkit::spec(&(VENUE.sample)());
    spec.options = Options::new(options(&[("reconcile_ms", 0)]));
    let mut hand = Hand::of(&spec, &Shared::default()).ask();
    hand.answer(200, ODD);
    hand.until_call(10_000);
    assert!(hand.call.is_some());
    hand.answer(200, include_str!("../fixtures/rest_balances_object.json"));
    hand.until_call(10_000);
    assert!(hand.call.is_none(), "that is over");
}

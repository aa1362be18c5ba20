//! The REST duty.

use super::*;

#[test]
fn rest_fills_what_the_snapshot_leaves_unknown_before_calc_is_needed() {
    let mut duo = Duo::new(&venue_with(|setup| faulty(setup, &["null_available"])));
    assert!(said(&mut duo)[1].contains("exchange BTC 1.61169184/unknown"));
    duo.pass(5_000);
    let events = said(&mut duo);
    assert_eq!(events[0], "duty fine");
    assert!(events[1].starts_with("reconcile Zero [exchange BTC 1.61169184/1.61169184, "));
    assert!(!duo.sent.iter().any(|frame| frame.contains("calc")));
}

#[test]
fn calc_fills_the_snapshot_where_rest_is_off() {
    let venue = venue_with(|setup| faulty(setup, &["null_available"]));
    let mut duo = Duo::with(&venue, |_| {}, option("reconcile_ms", 0));
    duo.pass(1_100);
    assert_eq!(duo.sent[1].matches("wallet_").count(), 8, "eight wallets, eight calculations");
    let filled = said(&mut duo).iter().filter(|event| event.starts_with("rows") && !event.contains("unknown")).count();
    assert_eq!(filled, 8);
}

#[test]
fn rest_tells_what_the_stream_lost_and_is_asked_again_on_doubt() {
    let mut duo = duo();
    duo.pass(2_000);
    duo.fault("lose_next_wu");
    duo.moves(&deposit("BTC", "1"));
    duo.fault("quiet_orders");
    duo.moves(&place("100"));
    said(&mut duo);
    duo.pass(95_000);
    let events = said(&mut duo);
    assert!(events[0].contains("exchange BTC 2.61169184/2.61169184") && events[0].contains("exchange USD 25000.5/24900.5"));
    let before = duo.calls.len();
    duo.session.on_verdict(duo.now, Verdict { doubted: 1, corrected: 0 }, &mut Out::default());
    duo.pass(1_600);
    assert_eq!(duo.calls.len(), before + 1);
}

#[test]
fn a_reconcile_names_the_moment_its_request_left() {
    let mut duo = duo();
    let before = duo.now.mono;
    duo.pass(1_000);
    let events = duo.drain();
    let Some(VenueEvent::Reconcile(reconcile)) = events.iter().find(|event| matches!(event, VenueEvent::Reconcile(_))) else {
        panic!("no reconcile")
    };
    assert!(reconcile.sent >= before.plus_ms(300) && reconcile.sent <= before.plus_ms(450));
}

/// A session whose first REST request is under way, as `CallId(1)`.
fn asking(shared: &Shared) -> (Box<dyn crate::venue::Session>, Now) {
    let mut session = connect(&spec(&sample()), shared).unwrap_or_else(|_| panic!("valid")).session(1);
    let (now, mut out) = (Now::default().plus_ms(1_000), Out::default());
    session.on_open(now, &mut out);
    session.on_frame(now, Frame::Text(fixture!("auth_ok.json")), &mut out);
    session.on_frame(now, Frame::Text(fixture!("ws_source.json")), &mut out);
    let now = now.plus_ms(450);
    let mut out = Out::default();
    session.on_timeout(now, &mut out);
    assert!(matches!(out.actions[..], [Action::Call(_)]), "one request");
    (session, now)
}

fn events(out: &Out) -> Vec<String> {
    out.actions.iter().map(|action| if let Action::Event(event) = action { say(event) } else { "action".into() }).collect()
}

/// Lets the session ask REST, and answers in the venue's stead.
fn answered(reply: Result<(u16, &str), CallError>) -> (Vec<String>, Box<dyn crate::venue::Session>, Now) {
    let (mut session, now) = asking(&Shared::default());
    let mut out = Out::default();
    let reply = reply.map(|(status, body)| Reply { status, body: body.as_bytes() });
    session.on_reply(now, CallId(1), reply, &mut out);
    (events(&out), session, now)
}

#[test]
fn an_answer_asked_for_before_the_doubt_does_not_settle_it() {
    let (mut session, now) = asking(&Shared::default());
    let later = now.plus_ms(100);
    session.on_frame(later, Frame::Text(r#"[0,"wu",{}]"#), &mut Out::default());
    let mut out = Out::default();
    session.on_reply(later, CallId(1), Ok(Reply { status: 200, body: b"[]" }), &mut out);
    assert_eq!(events(&out), ["duty fine", "reconcile Zero []"]);
    let mut out = Out::default();
    session.on_verdict(later, Verdict::default(), &mut out);
    assert!(out.actions.is_empty(), "not live yet");
    session.on_timeout(later.plus_ms(1), &mut out);
    assert!(matches!(out.actions[..], [Action::Call(_)]), "asked anew");
    session.on_reply(later.plus_ms(2), CallId(2), Ok(Reply { status: 200, body: b"[]" }), &mut Out::default());
    let mut out = Out::default();
    session.on_verdict(later.plus_ms(2), Verdict::default(), &mut out);
    assert_eq!(events(&out), ["synced"]);
}

#[test]
fn one_accounts_overrun_silences_the_host_for_all() {
    let shared = Shared::default();
    let (mut session, now) = asking(&shared);
    session.on_reply(now, CallId(1), Ok(Reply { status: 429, body: b"" }), &mut Out::default());
    let host = shared.host(&spec(&sample()).rest_url, VENUE.limits);
    assert_eq!(host.lock().call(now.mono), Err(now.mono.plus_ms(60_000)));
}

#[test]
fn rest_failures_degrade_and_are_told_apart() {
    let duty = |status, body| answered(Ok((status, body))).0;
    assert_eq!(duty(500, fixture!("rest_error_10100.json")), ["duty rest_unauthorized"]);
    assert_eq!(duty(429, "slow down"), ["duty rate_limited"]);
    assert_eq!(duty(200, fixture!("rest_rate_limit.json")), ["duty rate_limited"]);
    assert_eq!(duty(500, r#"["error",11010,"ratelimit: error"]"#), ["duty rate_limited"]);
    assert_eq!(duty(503, "<html>"), ["duty reconcile_failed"]);
    assert_eq!(duty(200, "{}"), ["malformed: REST wallets: a wallet message of another shape", "duty reconcile_failed"]);
    assert_eq!(answered(Err(CallError::Timeout)).0, ["duty reconcile_failed"]);
    assert_eq!(duty(500, "[]"), ["duty reconcile_failed"], "an error is no empty list");
}

#[test]
fn a_limited_address_is_left_alone_for_a_minute() {
    let (_, session, now) = answered(Ok((429, "")));
    let mut session = session;
    let mut at = now;
    while at.mono < now.mono.plus_ms(60_000) {
        let step = session.deadline().unwrap().0.saturating_sub(at.mono.0).div_ceil(1_000);
        at = at.plus_ms(step);
        let mut out = Out::default();
        session.on_frame(at, Frame::Text(fixture!("hb.json")), &mut out);
        session.on_timeout(at, &mut out);
        let asked = out.actions.iter().any(|action| matches!(action, Action::Call(_)));
        assert!(!asked || at.mono >= now.mono.plus_ms(60_000));
    }
}

#[test]
fn a_rest_nonce_called_small_is_retried_at_once_but_not_for_ever() {
    let small = fixture!("rest_error_10114.json");
    let (first, mut session, mut now) = answered(Ok((500, small)));
    assert!(first.is_empty());
    let mut told = Vec::new();
    for call in 2..=4 {
        now = now.plus_ms(1);
        let mut out = Out::default();
        session.on_timeout(now, &mut out);
        assert!(matches!(out.actions[..], [Action::Call(_)]), "attempt {call}");
        let mut out = Out::default();
        session.on_reply(now, CallId(call), Ok(Reply { status: 500, body: small.as_bytes() }), &mut out);
        told.extend(out.actions.iter().map(|a| if let Action::Event(event) = a { say(event) } else { "action".into() }));
    }
    assert_eq!(told, ["duty clock_skew"]);
}

#[test]
fn the_rest_duty_recovers() {
    let mut duo = duo();
    duo.fault("rest_down");
    duo.pass(40_000);
    assert_eq!(said(&mut duo), ["duty reconcile_failed"], "said once");
    duo.fault("heal");
    duo.pass(25_000);
    let events = said(&mut duo);
    assert_eq!(events[0], "duty fine");
    assert!(events[1].starts_with("reconcile"));
}

#[test]
fn an_unreadable_rest_row_is_named_and_one_without_a_name_makes_absence_prove_nothing() {
    let body = r#"[["exchange","BTC",1,0,null,null,null],["exchange","USD",1]]"#;
    let malformed = "malformed: REST wallets: field UNSETTLED_INTEREST is missing";
    let compared = "reconcile Zero [exchange BTC 1/keep, exchange USD keep/keep]";
    assert_eq!(answered(Ok((200, body))).0, ["duty fine", malformed, compared]);
    let body = body.replace("\"USD\",1", "null,1,0,null,null,null");
    let malformed = "malformed: REST wallets: field CURRENCY cannot be read";
    let compared = "reconcile Nothing [exchange BTC 1/keep]";
    assert_eq!(answered(Ok((200, &body))).0, ["duty fine", malformed, "omitted protocol_error", compared]);
}

#[test]
fn the_host_budget_bounds_rest_over_all_accounts() {
    let shared = Shared::default();
    let host = shared.host(&spec(&sample()).rest_url, VENUE.limits);
    let mut session = connect(&spec(&sample()), &shared).unwrap_or_else(|_| panic!("valid")).session(1);
    let now = Now::default().plus_ms(1_000);
    for _ in 0..45 {
        host.lock().call(now.mono).unwrap();
    }
    session.on_open(now, &mut Out::default());
    session.on_frame(now, Frame::Text(fixture!("ws_source.json")), &mut Out::default());
    let mut out = Out::default();
    session.on_timeout(now.plus_ms(450), &mut out);
    assert!(!out.actions.iter().any(|action| matches!(action, Action::Call(_))));
    assert!(session.deadline().unwrap() > now.plus_ms(450).mono);
    // Put off for nearly a minute: the account says so meanwhile.
    let told =
        |action: &Action| matches!(action, Action::Event(VenueEvent::Duty(Some(r))) if r.code == ReasonCode::RateLimited);
    assert!(out.actions.iter().any(told));
}

#[test]
fn the_simulator_shuts_an_address_out_that_overruns_rest() {
    let mut duo = quiet();
    let request = SimRequest { method: "POST".into(), path: "/v2/auth/r/wallets".into(), ..SimRequest::default() };
    let ask = |duo: &mut Duo| duo.sim.on_request(duo.now, &request, &mut SimOut::default()).status;
    assert!((0..90).all(|_| ask(&mut duo) == 500), "no key");
    assert_eq!(ask(&mut duo), 429);
    duo.pass(59_000);
    assert_eq!(ask(&mut duo), 429);
    duo.pass(1_000);
    assert_eq!(ask(&mut duo), 500);
}

//! The simulator as any other client meets it.

use super::*;

/// What a client of its own makes the simulator say.
fn speak(sim: &mut Box<dyn Sim>, conn: u64, text: &str) -> Vec<String> {
    let mut out = SimOut::default();
    sim.on_frame(Now::default(), ConnId(conn), text, &mut out);
    sends(out)
}

fn sends(out: SimOut) -> Vec<String> {
    out.actions
        .into_iter()
        .filter_map(|action| match action {
            SimAction::Send(_, text) => Some(text),
            SimAction::Ping(_) | SimAction::Close(..) => None,
        })
        .collect()
}

fn simulator() -> Box<dyn Sim> {
    let mut sim = sim::simulate(SimSetup { accounts: vec![sample().account], seed: 1 });
    let request = SimRequest { method: "GET".into(), path: "/ws/2".into(), ..SimRequest::default() };
    for conn in 1..=2 {
        sim.on_connect(Now::default(), ConnId(conn), &request, &mut SimOut::default()).unwrap();
    }
    sim
}

fn login(nonce: &str, digits: &str, filter: &str) -> String {
    let signature = auth::sign("bfx-sample-secret", &format!("AUTH{digits}"));
    format!(
        r#"{{"event":"auth","apiKey":"bfx-sample-key","authSig":"{signature}","authNonce":{nonce},"authPayload":"AUTH{digits}","filter":{filter}}}"#
    )
}

#[test]
fn the_simulator_takes_nonces_as_numbers_and_without_filter() {
    let mut sim = simulator();
    let frames = speak(&mut sim, 1, &login("1700000000000", "1700000000000", "null"));
    assert!(frames[0].contains(r#""status":"OK""#) && frames[0].contains(r#""wallets":{"read":1,"write":0}"#));
    assert_eq!(frames[1], r#"[0,"ps",[]]"#);
    assert!(frames[2].starts_with(r#"[0,"ws",[["exchange","BTC",1.61169184,0,1.61169184,null,null],"#));
    assert_eq!(frames[3], r#"[0,"os",[]]"#);
    let again = speak(&mut sim, 2, &login("1700000000000", "1700000000000", "null"));
    assert_eq!(again, [r#"{"event":"auth","status":"FAILED","chanId":0,"code":10114,"msg":"nonce: small"}"#]);
}

#[test]
fn the_simulator_answers_conf_ping_and_what_it_does_not_know() {
    let mut sim = simulator();
    assert_eq!(speak(&mut sim, 1, r#"{"event":"conf","flags":8}"#), [r#"{"event":"conf","status":"OK"}"#]);
    assert_eq!(speak(&mut sim, 1, r#"{"event":"ping","cid":7}"#), [r#"{"event":"pong","ts":0,"cid":7}"#]);
    assert!(speak(&mut sim, 1, r#"{"event":"nothing"}"#)[0].contains("10000"));
    assert!(speak(&mut sim, 1, "no JSON")[0].contains(r#""event":"error""#));
}

#[test]
fn the_simulator_keeps_to_conf_flags_and_filters() {
    let mut sim = simulator();
    speak(&mut sim, 1, r#"{"event":"conf","flags":98312}"#); // DEC_S, TIMESTAMP, SEQ_ALL
    speak(&mut sim, 1, &login("\"5\"", "5", r#"["wallet"]"#));
    speak(&mut sim, 2, &login("\"6\"", "6", r#"["wallet-margin-BTC"]"#));
    let mut out = SimOut::default();
    sim.on_move(Now::default(), &set("exchange", "BTC", "2"), &mut out).unwrap();
    assert_eq!(sends(out), [r#"[0,"wu",["exchange","BTC","2","0","2",null,null],2,2,0]"#]);
    let mut out = SimOut::default();
    sim.on_move(Now::default(), &set("margin", "BTC", "3"), &mut out).unwrap();
    assert_eq!(sends(out).len(), 2);
}

#[test]
fn the_simulator_has_every_fault_it_names() {
    let mut sim = simulator();
    for (name, what) in sim.faults() {
        assert!(!what.is_empty());
        sim.on_fault(Now::default(), name, &mut SimOut::default()).unwrap();
    }
    assert!(sim.on_fault(Now::default(), "none", &mut SimOut::default()).is_err());
    let unknown = Move::Adjust { account: "x".into(), wallet: "w".into(), asset: "a".into(), amount: amount("1") };
    assert!(sim.on_move(Now::default(), &unknown, &mut SimOut::default()).is_err());
}

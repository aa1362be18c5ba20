//! The simulator by itself.

use super::*;

#[test]
fn the_simulator_keeps_the_documented_limits() {
    let answer = |wallets: usize, assets: usize| {
        let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
        let list: Vec<_> = addresses(wallets).into_iter().map(|a| format!(r#"{{"address":"{a}"}}"#)).collect();
        let names: Vec<_> = (0..assets).map(|n| format!("\"{n}\"")).collect();
        let filtered = format!(r#"{{"address":"{SECOND}","assets":[{}]}}"#, names.join(","));
        let text = format!(r#"{{"type":"subscribe","wallets":[{},{filtered}]}}"#, list.join(","));
        let mut out = SimOut::default();
        duo.sim.on_frame(duo.now, crate::venue::sim::ConnId(1), &text, &mut out);
        format!("{:?}", out.actions[0]).contains("Invalid wallets")
    };
    // Three wallets are subscribed already, one of them SECOND.
    assert!(!answer(497, 500));
    assert!(answer(498, 1));
    assert!(answer(1, 501));
}

#[test]
fn an_unsubscribed_wallet_is_pushed_no_more() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    let mut out = SimOut::default();
    duo.sim.on_frame(duo.now, crate::venue::sim::ConnId(1), fixture!("unsubscribe"), &mut out);
    assert!(format!("{:?}", out.actions).contains("Unsubscribed"));
    let heard = duo.heard.len();
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    assert_eq!(duo.heard.len(), heard);
    duo.moves(&deposit(SECOND, "USDC.e", "1"));
    assert_eq!(duo.heard.len(), heard + 1);
}

#[test]
fn a_subscribe_adds_unless_the_venue_replaces() {
    for (replaces, listeners) in [(false, 1), (true, 0)] {
        let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
        if replaces {
            duo.fault("resubscribe_replaces");
        }
        let text = format!(r#"{{"type":"subscribe","wallets":[{{"address":"{SECOND}"}}]}}"#);
        duo.sim.on_frame(duo.now, crate::venue::sim::ConnId(1), &text, &mut SimOut::default());
        let heard = duo.heard.len();
        duo.moves(&deposit(FIRST, "USDC.e", "1"));
        assert_eq!(duo.heard.len() - heard, listeners);
    }
}

#[test]
fn a_replacing_venue_is_still_fully_followed_after_an_audit_and_a_search() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("resubscribe_replaces");
    duo.fault("invalid_wallet");
    duo.fault("unsubscribe");
    duo.pass(200_000);
    duo.drain();
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    duo.moves(&deposit(SOLANA, "USDC", "1"));
    assert_eq!(briefs(&duo.drain()), ["rows: 0x74/USDC.e=1251.5", "rows: 7xKX/USDC=311.25"]);
}

#[test]
fn every_fault_is_known_and_no_other() {
    let mut duo = Duo::new(&VENUE);
    let names: Vec<_> = duo.sim.faults().iter().map(|(name, _)| *name).collect();
    names.into_iter().for_each(|name| duo.fault(name));
    assert!(duo.sim.on_fault(duo.now, "nonsense", &mut SimOut::default()).is_err());
}

//! Every edge case listed for the venue, by its number in `docs/venues.md`.

use super::*;

#[test]
fn edge_01_a_404_names_the_other_documented_path() {
    let guide = connected(|_| {});
    let closing = guide.refused(404).unwrap();
    assert_eq!((closing.class, closing.reason.code), (ErrorClass::Configuration, ReasonCode::Configuration));
    assert!(closing.reason.text.contains(" /api/v1/balance/ws:"), "{}", closing.reason.text);
    let reference = connected(|spec| spec.ws_url = "wss://synthesis.trade/api/v1/balance/ws".into());
    assert!(reference.refused(404).unwrap().reason.text.contains(" /ws/balance:"));
}

#[test]
fn edge_01_only_the_configured_path_is_dialed_and_both_exist() {
    let reference = connected(|spec| spec.ws_url = "wss://synthesis.trade/api/v1/balance/ws".into());
    assert_eq!(reference.handshake().url, "wss://synthesis.trade/api/v1/balance/ws");
    for (path, status) in [("/ws/balance", None), ("/api/v1/balance/ws", None), ("/ws", Some(404))] {
        let mut sim = sim::SynthesisSim::new(SimSetup::default());
        let request = SimRequest { path: path.into(), ..SimRequest::default() };
        let refused = sim.on_connect(Now::default(), crate::venue::sim::ConnId(1), &request, &mut SimOut::default());
        assert_eq!(refused.err().map(|reply| reply.status), status, "{path}");
    }
}

#[test]
fn edge_02_an_update_finds_wallet_and_chain_by_its_address() {
    let mut lone = Lone::new(&[FIRST, SOLANA]);
    lone.hear(&listing(&[(FIRST, r#"{"USDC":"1"}"#), (SOLANA, r#"{"USDC":"2"}"#)]));
    let events = lone.hear(&update(SOLANA, "USDC", "3"));
    let [VenueEvent::Rows(rows)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&*rows[0].wallet, &*rows[0].asset, &rows[0].total), (SOLANA, "USDC", &Field::Is(amount("3"))));
    assert_eq!(rows[0].extra.as_ref().unwrap()[0], ("chain", "SOL".into()));
}

#[test]
fn edge_02_a_chain_the_venue_names_outranks_the_form_of_the_address() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(&listing(&[(FIRST, "{}")]).replace("POL", "BASE"));
    let events = lone.hear(&update(FIRST, "USDC", "3"));
    let [VenueEvent::Rows(rows)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(rows[0].extra.as_ref().unwrap()[0], ("chain", "BASE".into()));
}

#[test]
fn edge_02_a_second_chain_under_one_address_is_not_mixed_in() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(&listing(&[(FIRST, r#"{"USDC":"1"}"#)]));
    let events = lone.hear(&listing(&[(FIRST, r#"{"USDC":"9"}"#)]).replace("POL", "BASE"));
    assert_eq!(briefs(&events), ["malformed response.wallets.chain_id: a second chain for one address", "unproven 0x74/USDC"]);
}

#[test]
fn edge_03_polygon_addresses_match_in_any_case_and_keep_the_configured_spelling() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.fault("uppercase_addresses");
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    assert!(duo.heard.last().unwrap().contains("0x742D35CC6634C0532925A3B844BC454E4438F44E"));
    let events = duo.drain();
    let [VenueEvent::Alive, VenueEvent::Rows(rows)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&*rows[0].wallet, &rows[0].total), (FIRST, &Field::Is(amount("1251.5"))));
    let mut lone = Lone::new(&[FIRST]);
    for spelling in [FIRST.to_lowercase(), FIRST.to_uppercase(), FIRST.to_owned()] {
        assert_eq!(briefs(&lone.hear(&update(&spelling, "USDC", "1"))), ["rows: 0x74/USDC=1"]);
    }
}

#[test]
fn edge_03_solana_addresses_match_exactly() {
    let mut lone = Lone::new(&[SOLANA]);
    let expected = ["malformed response.address: an update for an address never asked for"];
    assert_eq!(briefs(&lone.hear(&update(&SOLANA.to_lowercase(), "USDC", "1"))), expected);
    assert_eq!(briefs(&lone.hear(&update(SOLANA, "USDC", "1"))), ["rows: 7xKX/USDC=1"]);
}

#[test]
fn edge_04_token_ids_are_text_of_any_length() {
    let long = "1".repeat(78);
    let mut lone = Lone::new(&[FIRST]);
    for asset in [&long, &"9".repeat(128)] {
        let events = lone.hear(&update(FIRST, asset, "5"));
        let [VenueEvent::Rows(rows)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(rows[0].asset, asset);
    }
    // Unquoted, it is still read by its digits.
    let events = lone.hear(&update(FIRST, &long, "5").replace(&format!("\"{long}\""), &long));
    let [VenueEvent::Rows(rows)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(rows[0].asset, long);
    // No row can have such a name: the store is told that something lacks.
    for asset in [&"1".repeat(129), ""] {
        let told = format!("unproven 0x74/{}", &asset[..asset.len().min(6)]);
        let expected = ["malformed response.asset: no identifier of 1 to 128 characters", &told];
        assert_eq!(briefs(&lone.hear(&update(FIRST, asset, "5"))), expected);
        assert_eq!(briefs(&lone.hear(&update(FIRST, asset, "0.0"))), expected[..1], "nothing is held");
    }
}

#[test]
fn edge_05_usdc_and_usdc_e_are_two_assets() {
    let mut lone = Lone::new(&[FIRST]);
    let events = lone.hear(&listing(&[(FIRST, r#"{"USDC":"1000.000","USDC.e":"1250.5"}"#)]));
    assert_eq!(briefs(&events)[0], "snapshot 0x74: 0x74/USDC=1000.000 0x74/USDC.e=1250.5");
}

#[test]
fn edge_06_unknown_shapes_are_counted_and_ignored() {
    let mut lone = Lone::new(&[FIRST]);
    let cases = [
        (r#"{"success":true,"response":{}}"#, "response: none of the documented shapes"),
        (r#"{"success":true,"response":{"position":"5"}}"#, "response: none of the documented shapes"),
        (r#"{"success":true,"response":{"wallets":null}}"#, "response: none of the documented shapes"),
        (r#"{"success":true}"#, "not a message of the documented form (column 16)"),
        (r#"{"response":"Unsubscribed"}"#, "not a message of the documented form (column 27)"),
        (r#"{"success":"true","response":"Unsubscribed"}"#, "not a message of the documented form (column 17)"),
        (r#"{"success":true,"response":[1]}"#, "not a message of the documented form (column 28)"),
        ("secret", "not a message of the documented form (column 1)"),
        (r#"{"success":true,"response":{"asset":"USDC","balance":"1"}}"#, "response.address: missing"),
        (r#"{"success":true,"response":{"order_id":"1","status":"OPEN"}}"#, "response.token_id: missing"),
        (r#"{"success":true,"response":{"order_id":"1","token_id":"2"}}"#, "response.status: missing"),
        (
            r#"{"success":true,"response":{"order_id":"1","token_id":"2","status":"OPEN","filled":"secret"}}"#,
            "response.filled: not a decimal number",
        ),
    ];
    for (text, what) in cases {
        assert_eq!(briefs(&lone.hear(text)), [format!("malformed {what}")], "{text}");
    }
    assert!(lone.closed.is_none());
}

#[test]
fn edge_06_shapes_are_tried_in_the_documented_order_and_unknown_fields_ignored() {
    let order = r#"{"success":true,"response":{"order_id":"1","token_id":"2","status":"OPEN","asset":"3"}}"#;
    assert!(matches!(wire::decode(order), Ok(Message::Order(_))));
    let wallets = r#"{"response":{"order_id":"1","asset":"3","wallets":[]},"success":true,"v":2}"#;
    assert!(matches!(wire::decode(wallets), Ok(Message::Wallets(list)) if list.is_empty()));
    let mut lone = Lone::new(&[FIRST]);
    assert!(lone.hear(r#"{"success":true,"response":"Subscribed"}"#).is_empty());
}

#[test]
fn edge_07_one_invalid_address_is_found_by_halving_and_the_rest_goes_live() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.fault("invalid_wallet"); // SECOND
    duo.fault("unsubscribe");
    let events = duo.drain();
    let duty = events.iter().find_map(|e| if let VenueEvent::Duty(Some(reason)) = e { Some(reason) } else { None }).unwrap();
    assert_eq!(duty.code, ReasonCode::Configuration);
    assert!(duty.text.contains(SECOND) && !duty.text.contains(FIRST), "{}", duty.text);
    let mut ledger = Ledger::default();
    ledger.take(&events);
    assert!(ledger.synced);
    let wallets: std::collections::BTreeSet<_> = ledger.rows.keys().map(|(wallet, _)| wallet.as_str()).collect();
    assert_eq!(wallets, [FIRST, SOLANA].into());
    // The last request is the complete one again: a later subscribe may replace an earlier one.
    let last = duo.sent.last().unwrap();
    assert!(last.contains(FIRST) && last.contains(SOLANA) && !last.contains(SECOND));
    assert!(duo.closed.is_none());
}

#[test]
fn edge_07_a_culprit_among_five_hundred_costs_few_requests() {
    for culprit in [0, 1, 250, 499] {
        let all = addresses(500);
        let bad = all[culprit].clone();
        let mut lone = Lone::new(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let mut events = Vec::new();
        for at in 0..60 {
            let Some(request) = lone.sent.get(at).cloned() else { break };
            let reply = if request.contains(&bad) {
                fixture!("invalid_wallets").to_owned()
            } else {
                let request: wire::Request<'_> = serde_json::from_str(&request).unwrap();
                listing(&request.wallets.iter().map(|w| (&*w.address, "{}")).collect::<Vec<_>>())
            };
            events = lone.hear(&reply);
        }
        assert_eq!(briefs(&events)[1..], ["synced", "partial true", "duty configuration"]);
        assert!(lone.sent.len() <= 22, "{} requests", lone.sent.len());
    }
}

#[test]
fn edge_07_a_late_part_of_another_answer_absolves_nobody() {
    let mut lone = Lone::new(&[FIRST, SECOND, SOLANA]);
    lone.hear(fixture!("invalid_wallets"));
    assert!(lone.sent[1].contains(FIRST) && !lone.sent[1].contains(SECOND), "the first half is asked for");
    lone.hear(&listing(&[(SOLANA, "{}")]));
    assert_eq!(lone.sent.len(), 2, "a list of another wallet is no answer");
    lone.hear(&listing(&[(FIRST, "{}")]));
    assert!(lone.sent[2].contains(SECOND) && lone.sent[2].contains(SOLANA));
}

#[test]
fn edge_07_when_every_address_is_invalid_the_configuration_is_to_blame() {
    for wallets in [&[FIRST][..], &[FIRST, SECOND, SOLANA]] {
        let mut lone = Lone::new(wallets);
        for _ in 0..6 {
            lone.hear(fixture!("invalid_wallets"));
        }
        let closed = lone.closed.as_ref().unwrap();
        assert_eq!((closed.class, closed.reason.code), (ErrorClass::Configuration, ReasonCode::Configuration));
    }
    let all = addresses(500);
    let mut lone = Lone::new(&all.iter().map(String::as_str).collect::<Vec<_>>());
    for _ in 0..2_000 {
        lone.hear(fixture!("invalid_wallets"));
    }
    assert!(lone.closed.is_some() && lone.sent.len() <= 102, "the search is bounded: {}", lone.sent.len());
}

#[test]
fn edge_07_a_subscribe_without_answer_times_out() {
    let mut lone = Lone::new(&[FIRST]);
    lone.pass(9_999);
    assert!(lone.closed.is_none());
    lone.pass(1);
    let closed = lone.closed.as_ref().unwrap();
    assert_eq!((closed.class, closed.reason.code), (ErrorClass::Transient, ReasonCode::SyncTimeout));
    assert_eq!(lone.session.deadline(), None);
}

#[test]
fn edge_07_other_refusals_are_told_apart() {
    let refused = |text: &str| {
        let mut lone = Lone::new(&[FIRST, SECOND]);
        lone.hear(text);
        let closed = lone.closed.unwrap();
        (closed.class, closed.reason.code)
    };
    let wait = ErrorClass::RateLimited { wait_ms: 60_000 };
    assert_eq!(refused(fixture!("rate_limited")), (wait, ReasonCode::RateLimited));
    let other = (ErrorClass::Transient, ReasonCode::SubscribeRefused);
    assert_eq!(refused(r#"{"success":false,"response":"Please try again"}"#), other);
    assert_eq!(refused(r#"{"success":false,"response":{"code":7}}"#), other);
}

#[test]
fn edge_08_available_and_locked_are_unknown() {
    let mut lone = Lone::new(&[FIRST]);
    let mut events = lone.hear(fixture!("snapshot"));
    events.extend(lone.hear(fixture!("update")));
    let rows = events.iter().flat_map(|event| match event {
        VenueEvent::Snapshot(snapshot) => &snapshot.rows[..],
        VenueEvent::Rows(rows) => rows,
        _ => &[],
    });
    let known: Vec<_> = rows.map(|row| (&row.available, &row.locked)).collect();
    assert_eq!(known, [(&Field::Unknown, &Field::Unknown); 4]);
}

#[test]
fn edge_09_without_a_filter_new_positions_show() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    assert!(!duo.sent[0].contains("assets"));
    duo.drain();
    duo.moves(&deposit(SECOND, OTHER, "4"));
    assert_eq!(briefs(&duo.drain()), ["rows: 0x12/485729=4"]);
}

#[test]
fn edge_09_a_filter_is_sent_synced_under_and_kept() {
    let only_cash = |spec: &mut AccountSpec| spec.wallets[0].assets = Some(vec!["USDC.e".into()]);
    let mut duo = Duo::with(&VENUE, only_cash, no_audits());
    let events = duo.drain();
    let mut ledger = Ledger::default();
    ledger.take(&events);
    assert!(ledger.synced);
    assert_eq!(ledger.rows.keys().filter(|(wallet, _)| wallet == FIRST).count(), 1);
    duo.moves(&deposit(FIRST, TOKEN, "1"));
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    assert_eq!(briefs(&duo.drain()), ["rows: 0x74/USDC.e=1251.5"]);
    // What the venue pushes all the same would never be listed, and so never be corrected.
    duo.hear(&update(FIRST, TOKEN, "9"));
    assert!(briefs(&duo.drain()).is_empty());
}

#[test]
fn edge_10_more_than_the_documented_limits_is_a_configuration_problem() {
    let wallets = |count| addresses(count).into_iter().map(|address| WalletSpec { address, assets: None }).collect::<Vec<_>>();
    assert!(problems(|spec| spec.wallets = wallets(500)).is_empty());
    let found = problems(|spec| spec.wallets = wallets(501));
    assert!(found.len() == 1 && found[0].0 == "wallets" && found[0].1.contains("two accounts"), "{found:?}");
    let assets = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    assert!(problems(|spec| spec.wallets[0].assets = Some(assets(500))).is_empty());
    let found = problems(|spec| {
        spec.wallets[0].assets = Some(assets(500));
        spec.wallets[1].assets = Some(assets(1));
    });
    assert!(found.len() == 1 && found[0].1.contains("500 assets"), "{found:?}");
}

#[test]
fn edge_11_an_update_before_its_list_is_applied_and_outlives_the_older_list() {
    let mut lone = Lone::new(&[FIRST]);
    let sent = lone.now.mono;
    lone.pass(100);
    assert_eq!(briefs(&lone.hear(&update(FIRST, TOKEN, "35.384"))), ["rows: 0x74/217426=35.384"]);
    lone.pass(100);
    let events = lone.hear(fixture!("snapshot"));
    let VenueEvent::Snapshot(snapshot) = &events[0] else { panic!("{events:?}") };
    assert_eq!(snapshot.freshness, Freshness::Asked { sent }, "a row pushed since the request is newer than the list");
    assert!(matches!(events[1], VenueEvent::Synced));
}

#[test]
fn edge_11_a_lagging_list_is_overtaken_by_an_update() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.fault("lagging_snapshot");
    duo.fault("unsubscribe");
    duo.drain();
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    let pushed = duo.now.mono;
    duo.pass(300);
    let events = duo.drain();
    assert_eq!(briefs(&events)[0], "rows: 0x74/USDC.e=1251.5");
    assert!(duo.heard.last().unwrap().contains("1250.5"), "the list is older than the update");
    let asked = events.iter().find_map(|event| match event {
        VenueEvent::Snapshot(Snapshot { freshness: Freshness::Asked { sent }, .. }) => Some(*sent),
        _ => None,
    });
    assert!(asked.unwrap() <= pushed);
}

#[test]
fn edge_11_an_update_of_an_address_never_asked_for_is_counted() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.fault("unknown_address_update");
    assert_eq!(briefs(&duo.drain()), ["malformed response.address: an update for an address never asked for"]);
    duo.hear(&listing(&[(STRANGER, "{}")]));
    assert_eq!(briefs(&duo.drain()), ["malformed response.wallets.address: a list of an address never asked for"]);
}

#[test]
fn edge_12_an_audit_finds_a_lost_update() {
    let mut duo = Duo::new(&VENUE);
    let mut ledger = Ledger::default();
    duo.fault("lose_next_update");
    duo.moves(&deposit(FIRST, "USDC.e", "1"));
    ledger.take(&duo.drain());
    assert_eq!(ledger.rows[&(FIRST.into(), "USDC.e".into())], amount("1250.5"));
    duo.pass(66_000);
    ledger.take(&duo.drain());
    assert_eq!(ledger.corrected, 1);
    ledger.assert_true_to(duo.book());
    assert_eq!(duo.sent[0], duo.sent[1], "an audit repeats the complete request");
}

#[test]
fn edge_12_a_doubted_row_is_asked_about_again_soon_but_not_for_ever() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(fixture!("snapshot"));
    let (mut hasty, mut waits) = (0, Vec::new());
    for _ in 0..8 {
        let (asked, from) = (lone.sent.len(), lone.now.mono);
        while lone.sent.len() == asked {
            lone.pass(500);
        }
        waits.push(lone.now.mono.since_ms(from));
        hasty += usize::from(*waits.last().unwrap() <= 2_000);
        lone.hear(fixture!("snapshot"));
        lone.act(|session, now, out| session.on_verdict(now, Verdict { doubted: 1, corrected: 0 }, out));
    }
    assert!(waits[0] >= 54_000 && waits[1] <= 2_000, "{waits:?}");
    assert_eq!(hasty, 6, "{waits:?}");
    assert!(waits[6] >= 54_000, "{waits:?}");
}

#[test]
fn edge_12_three_unanswered_audits_ask_for_a_fresh_connection() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("no_resubscribe_snapshot");
    duo.drain();
    duo.pass(90_000);
    assert!(duo.closed.is_none());
    let told: Vec<_> = duo.drain().into_iter().filter(|e| !matches!(e, VenueEvent::Alive)).collect();
    assert!(matches!(told[..], [VenueEvent::Duty(Some(_))]), "nothing is unproven, but the duty fails: {told:?}");
    duo.pass(20_000);
    let closed = duo.closed.as_ref().unwrap();
    assert_eq!((closed.class, closed.reason.code), (ErrorClass::Restart, ReasonCode::ReconcileFailed));
    assert!(briefs(&duo.drain()).contains(&"resynced audit_unanswered".to_owned()));
}

#[test]
fn edge_12_an_audit_that_used_to_be_answered_and_is_not_takes_the_proof_away() {
    let mut duo = Duo::new(&VENUE);
    duo.pass(70_000);
    duo.drain();
    duo.fault("no_resubscribe_snapshot");
    duo.pass(77_000);
    let told = briefs(&duo.drain());
    assert!(told.contains(&"resynced audit_unanswered".to_owned()), "{told:?}");
    duo.pass(11_000);
    let closed = duo.closed.as_ref().expect("the subscribe after it has no answer either");
    assert_eq!((closed.class, closed.reason.code), (ErrorClass::Restart, ReasonCode::SyncTimeout));
}

#[test]
fn edge_12_an_answered_audit_forgives_earlier_silence() {
    let mut duo = Duo::new(&VENUE);
    duo.fault("no_resubscribe_snapshot");
    duo.pass(80_000);
    duo.fault("no_resubscribe_snapshot");
    duo.pass(200_000);
    assert!(duo.closed.is_none());
}

#[test]
fn edge_12_a_refused_audit_degrades_until_one_is_answered() {
    let mut duo = Duo::new(&VENUE);
    duo.drain();
    duo.fault("rate_limit");
    duo.pass(66_000);
    assert_eq!(briefs(&duo.drain()), ["duty reconcile_failed"]);
    duo.pass(66_000);
    assert_eq!(briefs(&duo.drain()).last().unwrap(), "duty well");
    assert!(duo.closed.is_none());
}

#[test]
fn edge_12_a_wallet_in_two_parts_is_not_zeroed_by_the_second() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(&listing(&[(FIRST, r#"{"USDC":"1"}"#)]));
    assert_eq!(briefs(&lone.hear(&listing(&[(FIRST, r#"{"USDC.e":"2"}"#)]))), ["rows: 0x74/USDC.e=2"]);
}

#[test]
fn edge_13_every_connection_subscribes_anew() {
    let connector = connected(|_| {});
    let requests = [1, 2, 3].map(|seed| {
        let mut out = Out::default();
        connector.session(seed).on_open(Now::default(), &mut out);
        let sends = out.actions.into_iter().filter_map(|a| if let Action::Send(text) = a { Some(text) } else { None });
        sends.collect::<Vec<_>>()
    });
    assert!(requests[0].len() == 1 && requests.iter().all(|r| r == &requests[0]));
}

#[test]
fn edge_14_number_text_varies_and_is_kept_as_written() {
    let mut lone = Lone::new(&[FIRST]);
    let numbers =
        [("\"1250.5\"", "1250.5"), ("\"1000.000\"", "1000.000"), ("\"0\"", "0"), ("7.10", "7.10"), ("1e-8", "0.00000001")];
    for (json, text) in numbers {
        let quoted = update(FIRST, "USDC", "@").replace("\"@\"", json);
        assert_eq!(briefs(&lone.hear(&quoted)), [format!("rows: 0x74/USDC={text}")]);
        let events = lone.hear(&listing(&[(FIRST, &format!(r#"{{"USDC":{json}}}"#))]));
        assert!(briefs(&events)[0].ends_with(&format!("USDC={text}")), "{events:?}");
    }
}

#[test]
fn edge_14_the_simulator_compares_by_value() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.moves(&set(SECOND, "USDC", "1000"));
    assert!(briefs(&duo.drain()).is_empty(), "1000.000 and 1000 are the same value");
    duo.moves(&set(SECOND, "USDC", "0.000"));
    assert_eq!(briefs(&duo.drain()), ["rows: 0x12/USDC=0"]);
}

#[test]
fn edge_15_matched_precedes_the_balance_change_and_changes_nothing_itself() {
    let mut duo = Duo::with(&VENUE, |_| {}, no_audits());
    duo.drain();
    duo.moves(&place("USDC.e", "10.4"));
    assert_eq!(briefs(&duo.drain()), ["orders: OPEN 0"], "a total does not change when funds are only locked");
    duo.moves(&fill("5.2", "10", false));
    let expected = ["orders: MATCHED 0", "rows: 0x74/217426=35.384", "rows: 0x74/USDC.e=1245.3", "orders: PARTIAL 10"];
    assert_eq!(briefs(&duo.drain()), expected);
    duo.moves(&fill("5.2", "10", true));
    assert_eq!(briefs(&duo.drain()).last().unwrap(), "orders: FILLED 20");
}

#[test]
fn edge_07_a_refused_address_is_followed_no_more() {
    let mut lone = Lone::new(&[FIRST, SECOND]);
    lone.hear(fixture!("invalid_wallets"));
    lone.hear(fixture!("invalid_wallets")); // FIRST
    lone.hear(&listing(&[(SECOND, "{}")]));
    assert_eq!(briefs(&lone.hear(&listing(&[(SECOND, "{}")])))[1..], ["synced", "partial true", "duty configuration"]);
    let expected = ["malformed response.address: an update for an address never asked for"];
    assert_eq!(briefs(&lone.hear(&update(FIRST, "USDC", "1"))), expected);
}

#[test]
fn edge_07_what_was_listed_before_a_refusal_is_listed_anew_after_the_search() {
    let mut lone = Lone::new(&[FIRST, SECOND]);
    assert_eq!(briefs(&lone.hear(&listing(&[(SECOND, r#"{"USDC":"1"}"#)]))), ["snapshot 0x12: 0x12/USDC=1"]);
    lone.hear(fixture!("invalid_wallets"));
    lone.hear(fixture!("invalid_wallets")); // FIRST
    lone.hear(&listing(&[(SECOND, "{}")]));
    let events = lone.hear(&listing(&[(SECOND, "{}")]));
    assert_eq!(briefs(&events), ["snapshot 0x12:", "synced", "partial true", "duty configuration"]);
}

#[test]
fn edge_12_an_answer_after_its_audit_was_given_up_takes_nothing_away() {
    let mut lone = Lone::new(&[FIRST]);
    lone.hear(fixture!("snapshot"));
    while lone.sent.len() < 2 {
        lone.pass(1_000);
    }
    lone.pass(10_000);
    assert_eq!(briefs(&lone.hear(&listing(&[(FIRST, r#"{"USDC":"1"}"#)]))), ["rows: 0x74/USDC=1"]);
}

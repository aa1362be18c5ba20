//! Answers of REST held against rows: doubt, second answers, drift.

use super::*;

fn compared(sent: Mono, absence: Absence, rows: &[&str]) -> VenueEvent {
    VenueEvent::Reconcile(Reconcile { sent, scope: Scope::Account, absence, rows: updates(rows) })
}

impl Bench {
    /// A complete answer to a question asked just now.
    fn compare(&mut self, rows: &[&str]) -> (usize, usize) {
        self.pass(1);
        let verdict = self.say([compared(self.now.mono, Absence::Zero, rows)]).expect("every reconcile has a verdict");
        (verdict.doubted, verdict.corrected)
    }
}

#[test]
fn an_answer_that_agrees_changes_nothing() {
    let mut b = Bench::live(&["BTC 1.0/1/0"]);
    let gsn = b.store.gsn();
    assert_eq!(b.compare(&["BTC 1/1/0"]), (0, 0));
    assert_eq!((b.store.gsn(), b.drift()), (gsn, 0));
}

#[test]
fn an_answer_that_differs_is_doubted_and_a_second_one_corrects() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    assert_eq!(b.compare(&["BTC 2/2/0", "USD 5/5/0"]), (1, 0));
    assert_eq!((b.rows(), b.drift()), (vec!["BTC 1/1/0 stale".into(), "USD 5/5/0 live".into()], 0));
    assert_eq!(b.compare(&["BTC 2/2/0", "USD 5/5/0"]), (0, 1));
    assert_eq!((b.rows()[0].as_str(), b.drift()), ("BTC 2/2/0 live", 1));
    assert_eq!(b.row("BTC").cause.as_ref().map(|c| c.kind), Some(CauseKind::Reconcile));
}

#[test]
fn a_second_answer_that_agrees_with_the_row_clears_the_doubt() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    b.compare(&["BTC 2/2/0"]);
    assert_eq!(b.compare(&["BTC 1/1/0"]), (0, 0));
    assert_eq!((b.rows(), b.drift()), (vec!["BTC 1/1/0 live".to_owned()], 0));
}

#[test]
fn answers_that_differ_from_each_other_prove_nothing() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    assert_eq!(b.compare(&["BTC 2/2/0"]), (1, 0));
    assert_eq!(b.compare(&["BTC 3/3/0"]), (1, 0));
    assert_eq!(b.compare(&["BTC 2/2/0"]), (1, 0));
    assert_eq!(b.rows(), ["BTC 1/1/0 stale"]);
}

#[test]
fn a_suspicious_row_awaits_two_answers_that_agree_with_each_other() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    b.say([unproven(&["BTC"])]);
    assert_eq!(b.compare(&["BTC 1/1/0", "USD 5/5/0"]), (1, 0), "a single answer may lag behind what could not be read");
    assert_eq!(b.rows(), ["BTC 1/1/0 stale", "USD 5/5/0 live"]);
    assert_eq!(b.compare(&["BTC 2/2/0", "USD 5/5/0"]), (1, 0));
    assert_eq!(b.compare(&["BTC 2/2/0", "USD 5/5/0"]), (0, 0));
    assert_eq!((b.rows(), b.drift()), (vec!["BTC 2/2/0 live".into(), "USD 5/5/0 live".into()], 0));
    assert_eq!(b.compare(&["BTC 2/2/0", "USD 5/5/0"]), (0, 0), "the suspicion is over");
    b.say([unproven(&["BTC"])]);
    b.say([push(&["BTC 3/3/0"])]);
    assert_eq!(b.compare(&["BTC 3/3/0", "USD 5/5/0"]), (0, 0), "a clear push ends it too");
}

#[test]
fn an_asked_list_does_not_settle_alone_what_this_connection_said() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    b.pass(1);
    let verdict = b.say([asked(b.now.mono, &["BTC 2/2/0"])]);
    assert_eq!(verdict.map(|v| (v.doubted, v.corrected)), Some((2, 0)));
    assert_eq!(b.rows(), ["BTC 1/1/0 stale", "USD 5/5/0 stale"]);
    assert_eq!(b.compare(&["BTC 2/2/0"]), (0, 2));
    assert_eq!((b.rows(), b.drift()), (vec!["BTC 2/2/0 live".into(), "USD 0/0/0 live aaa".into()], 2));
}

#[test]
fn a_push_settles_a_doubt_also_within_one_message() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    b.compare(&["BTC 2/2/0"]);
    b.say([push(&["BTC 1/1/0"])]);
    assert_eq!(b.rows(), ["BTC 1/1/0 live"]);
    let sent = b.now.plus_ms(1).mono;
    b.say([compared(sent, Absence::Zero, &["BTC 2/2/0"]), push(&["BTC 3/3/0"])]);
    assert_eq!((b.rows(), b.drift()), (vec!["BTC 3/3/0 live".to_owned()], 0));
}

#[test]
fn rows_pushed_since_the_question_are_not_touched() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    b.pass(1);
    let sent = b.now.mono;
    b.say([push(&["BTC 2/2/0"])]);
    let verdict = b.say([compared(sent, Absence::Zero, &["BTC 1/1/0"])]);
    assert_eq!(verdict.map(|v| v.doubted), Some(1), "only USD, which the answer lacks");
    assert_eq!(b.rows(), ["BTC 2/2/0 live", "USD 5/5/0 stale"]);
}

#[test]
fn an_absent_row_is_doubted_then_zero_or_nothing_as_the_list_claims() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    b.pass(1);
    let verdict = b.say([compared(b.now.mono, Absence::Nothing, &[])]);
    assert_eq!((verdict, b.rows()), (Some(Verdict::default()), vec!["BTC 1/1/0 live".to_owned()]));
    assert_eq!((b.compare(&[]), b.compare(&[])), ((1, 0), (0, 1)));
    assert_eq!((b.rows(), b.drift()), (vec!["BTC 0/0/0 live aaa".to_owned()], 1));
}

#[test]
fn a_zero_row_in_doubt_is_settled_by_a_list_without_it() {
    let mut b = Bench::live(&["BTC 0/0/0", "USD 0/0/0"]);
    b.compare(&["BTC 4/4/0"]);
    b.say([unproven(&["USD"])]);
    assert_eq!(b.rows(), ["BTC 0/0/0 stale", "USD 0/0/0 stale"]);
    assert_eq!(b.compare(&[]), (1, 0), "what is suspicious awaits a second answer");
    assert_eq!(b.compare(&[]), (0, 0));
    assert_eq!(b.rows(), ["BTC 0/0/0 live aaa", "USD 0/0/0 live aaa"]);
    let gsn = b.store.gsn();
    b.compare(&[]);
    assert_eq!(b.store.gsn(), gsn, "settled once");
}

#[test]
fn a_row_the_stream_never_told_of_is_discovered() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    assert_eq!(b.compare(&["BTC 1/1/0", "ETH 3/3/0", "DUST 0/0/0"]), (1, 0), "the stream's list was without it");
    assert_eq!((b.rows()[1].as_str(), b.drift()), ("ETH 3/3/0 stale", 1));
    assert_eq!(b.compare(&["BTC 1/1/0", "ETH 3/3/0", "DUST 0/0/0"]), (0, 0));
    assert_eq!((b.rows()[1].as_str(), b.rows()[2].as_str(), b.drift()), ("ETH 3/3/0 live", "DUST 0/0/0 live", 1));
}

#[test]
fn a_row_of_which_nothing_was_said_since_the_account_was_lost_takes_the_answer_at_once() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    b.say([syncing()]);
    assert_eq!(b.compare(&["BTC 7/7/0"]), (0, 0));
    b.say([VenueEvent::Synced]);
    assert_eq!((b.rows(), b.drift()), (vec!["BTC 7/7/0 live".to_owned()], 0));
}

#[test]
fn what_an_answer_does_not_know_contradicts_nothing_and_fills_nothing() {
    let mut b = Bench::live(&["BTC 1/0.4/-"]);
    assert_eq!(b.compare(&["BTC 1/-/0.6"]), (0, 0));
    assert_eq!(b.rows(), ["BTC 1/0.4/0.6 live"], "a number the stream does not give may come from there");
}

#[test]
fn the_verdict_sums_over_all_answers_in_one_message() {
    let mut b = Bench::live(&["BTC 1/1/0", "margin:BTC 2/2/0"]);
    b.pass(1);
    let of = |wallet: &str, row: &str| {
        let scope = Scope::Wallets(vec![wallet.into()]);
        VenueEvent::Reconcile(Reconcile { sent: b.now.mono, scope, absence: Absence::Zero, rows: updates(&[row]) })
    };
    let events = [of("spot", "BTC 9/9/0"), of("margin", "margin:BTC 2/2/0")];
    assert_eq!(b.say(events), Some(Verdict { doubted: 1, corrected: 0 }));
}

#[test]
fn only_a_message_without_a_comparison_has_no_verdict() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    assert_eq!(b.say([push(&["BTC 2/2/0"])]), None);
    b.pass(1);
    let verdict = b.say([compared(b.now.mono, Absence::Zero, &["BTC 2/2/0"])]);
    assert_eq!(verdict, Some(Verdict::default()), "zero is a verdict too");
}

#[test]
fn a_doubted_answer_confirms_nothing() {
    let mut b = Bench::live(&["BTC 1/1/0"]);
    let confirmed = b.record().last_confirmed;
    b.pass(60_000);
    b.compare(&["BTC 2/2/0"]);
    assert_eq!(b.record().last_confirmed, confirmed);
    b.compare(&["BTC 1/1/0"]);
    assert_eq!(b.record().last_confirmed, Some(b.now.unix));
}

#[test]
fn a_row_that_an_answer_lists_without_a_word_loses_its_proof_and_nothing_else() {
    let mut b = Bench::live(&["BTC 1/1/0", "USD 5/5/0"]);
    let confirmed = b.record().last_confirmed;
    b.pass(60_000);
    assert_eq!(b.compare(&["BTC =/=/=", "USD 5/5/0"]), (0, 0));
    assert_eq!(b.rows(), ["BTC 1/1/0 stale", "USD 5/5/0 live"]);
    assert_eq!((b.drift(), b.record().last_confirmed, b.since(0).complete), (0, confirmed, true), "not all of it was compared");
    // A push is newer than the question.
    let sent = b.now.mono;
    b.pass(1);
    b.say([push(&["BTC 2/2/0"])]);
    b.say([compared(sent, Absence::Zero, &["BTC =/=/=", "USD 5/5/0"])]);
    assert_eq!(b.rows(), ["BTC 2/2/0 live", "USD 5/5/0 live"]);
    // Of what no row shows, the account says that it lacks it.
    b.compare(&["BTC 2/2/0", "USD 5/5/0", "NEW =/=/="]);
    assert_eq!((b.rows().len(), b.state(), b.since(0).complete), (2, AccountState::Degraded, false));
    b.compare(&["BTC 2/2/0", "USD 5/5/0"]);
    b.compare(&["BTC 2/2/0", "USD 5/5/0"]);
    assert_eq!((b.state(), b.since(0).complete), (AccountState::Live, true));
}

#[test]
fn a_row_that_an_asked_list_names_without_a_word_keeps_its_numbers() {
    let mut b = Bench::live(&["BTC 3/2/1"]);
    b.reopen();
    let sent = b.now.mono;
    b.say([asked(sent, &["BTC =/=/="]), VenueEvent::Synced, unproven(&["BTC"])]);
    assert_eq!((b.rows(), b.since(0).complete), (vec!["BTC 3/2/1 stale".to_owned()], true));
}

#[test]
fn an_account_with_a_row_of_which_nothing_was_ever_read_is_not_complete() {
    let mut b = Bench::open();
    b.say([list(&["BTC 1/1/0", "ODD =/=/="]), VenueEvent::Synced, unproven(&["ODD"])]);
    assert_eq!(b.rows(), ["BTC 1/1/0 live", "ODD -/-/- stale"]);
    assert_eq!((b.state(), b.since(0).complete), (AccountState::Degraded, false));
    b.say([list(&["BTC 1/1/0", "ODD 3/3/0"])]);
    assert_eq!((b.rows()[1].as_str(), b.state(), b.since(0).complete), ("ODD 3/3/0 live", AccountState::Live, true));
}

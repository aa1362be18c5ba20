//! Properties: nothing panics, no digit is lost, and after an audit all is true.

use proptest::prelude::*;

use super::*;

fn any_move() -> impl Strategy<Value = Move> {
    let wallet = prop::sample::select(vec![FIRST, SECOND, SOLANA]);
    let asset = prop::sample::select(vec!["USDC.e", "USDC", TOKEN, OTHER]);
    (wallet, asset, "0|[1-9][0-9]{0,40}(\\.[0-9]{1,20})?").prop_map(|(wallet, asset, total)| set(wallet, asset, &total))
}

proptest! {
    #[test]
    fn decoding_never_panics(text in "\\PC{0,200}") {
        let _ = wire::decode(&text);
    }

    #[test]
    fn damaged_frames_never_panic(which in 0usize..6, at in 0usize..400, piece in "[\\[\\]{}\",:0-9a-z]{0,4}", cut in 0usize..5) {
        let frames = [fixture!("snapshot_reference"), fixture!("update"), fixture!("order_reference"), fixture!("snapshot"),
            fixture!("invalid_wallets"), fixture!("order")];
        let mut text = frames[which].to_owned();
        let at = at.min(text.len());
        text.replace_range(at..(at + cut).min(text.len()), &piece);
        let mut lone = Lone::new(&[FIRST, SOLANA]);
        lone.hear(&text);
        lone.pass(20_000);
    }

    #[test]
    fn no_digit_is_lost(total in "-?(0|[1-9][0-9]{0,60})\\.[0-9]{1,60}[1-9]", quoted: bool) {
        let json = if quoted { format!("\"{total}\"") } else { total.clone() };
        let mut lone = Lone::new(&[FIRST]);
        let events = lone.hear(&listing(&[(FIRST, &format!(r#"{{"USDC":{json}}}"#))]));
        prop_assert_eq!(briefs(&events)[0].clone(), format!("snapshot 0x74: 0x74/USDC={total}"));
        let events = lone.hear(&update(FIRST, "USDC", "@").replace("\"@\"", &json));
        prop_assert_eq!(briefs(&events), [format!("rows: 0x74/USDC={total}")]);
    }

    #[test]
    fn whatever_moves_and_fails_an_audit_later_all_is_true(
        moves in prop::collection::vec((any_move(), any::<bool>(), 0u64..40_000), 1..20),
        in_parts: bool, omits: bool, uppercase: bool,
    ) {
        let mut duo = Duo::new(&VENUE);
        let mut ledger = Ledger::default();
        for (fault, on) in [("snapshot_in_parts", in_parts), ("omit_empty_wallets", omits), ("uppercase_addresses", uppercase)] {
            if on { duo.fault(fault) }
        }
        for (mv, loses, wait) in &moves {
            if *loses { duo.fault("lose_next_update") }
            duo.moves(mv);
            duo.pass(*wait);
            ledger.take(&duo.drain());
        }
        duo.pass(80_000);
        ledger.take(&duo.drain());
        prop_assert!(duo.closed.is_none());
        ledger.assert_true_to(duo.book());
    }
}

//! The market without sockets: what it draws, held against a book.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Amount, Name, Now};
use crate::sim::Market;
use crate::venue::sim::{Book, Market as Pair, Move};

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn pair(wallet: &str, base: &str, quote: &str, price: &str, size: &str) -> Pair {
    Pair { wallet: wallet.into(), base: base.into(), quote: quote.into(), price: amount(price), size: amount(size) }
}

/// Sizes and digits as different as venues' are: eight decimals, none at all, and a chain's eighteen.
fn pairs() -> Vec<Pair> {
    vec![
        pair("exchange", "BTC", "USD", "7804.6", "0.05"),
        pair("spot", "PEPE", "USDC", "0.00000757", "25000000"),
        pair("0xab", "2174000000000000000000000001", "WEI", "0.52", "40"),
    ]
}

fn book() -> Book {
    Book::of(&[
        ("exchange", "BTC", "1.61169184", "0.5"),
        ("exchange", "USD", "12000.50", "0"),
        ("spot", "PEPE", "420690000000000.123456789012345678", "0"),
        ("spot", "USDC", "5000", "0"),
        ("0xab", "2174000000000000000000000001", "1000.000001", "0"),
        ("0xab", "WEI", "0", "0"),
        ("exchange", "XMR", "3", "0"),
    ])
}

fn kind(mv: &Move) -> String {
    serde_json::to_value(mv).unwrap()["move"].as_str().unwrap().to_owned()
}

fn start() -> Now {
    Now::default().plus_ms(1_000_000)
}

/// What a row must hold beyond its beginning: in all, and locked.
type Drift = BTreeMap<(Name, Name), (Amount, Amount)>;

/// Books a movement by its meaning, apart from `Book::apply`.
fn account_for(mv: &Move, drift: &mut Drift) {
    let mut add = |wallet: &Name, asset: &Name, total: &Amount, locked: &Amount| {
        let row = drift.entry((wallet.clone(), asset.clone())).or_insert((Amount::ZERO, Amount::ZERO));
        *row = (row.0.plus(total), row.1.plus(locked));
    };
    let none = Amount::ZERO;
    match mv {
        Move::Deposit { wallet, asset, amount, .. } => add(wallet, asset, amount, &none),
        Move::WithdrawRequest { wallet, asset, amount, .. } => add(wallet, asset, &none, amount),
        Move::WithdrawDone { wallet, asset, amount, .. } => add(wallet, asset, &amount.negated(), &amount.negated()),
        Move::Place { wallet, spend, amount, .. } => add(wallet, spend, &none, amount),
        Move::Cancel { wallet, spend, amount, .. } => add(wallet, spend, &none, &amount.negated()),
        Move::Fill { wallet, spend, spent, gain, gained, fee, .. } => {
            add(wallet, spend, &spent.negated(), &spent.negated());
            add(wallet, gain, &gained.minus(fee), &none);
        }
        Move::Adjust { .. } | Move::Set { .. } => panic!("a market does not {mv:?}"),
    }
}

#[test]
fn totals_change_by_deposits_withdrawals_fills_and_fees_alone() {
    for seed in 0..10 {
        let (begin, mut book) = (book(), book());
        let (mut market, mut drift, mut now) = (Market::new("m", pairs(), seed), Drift::new(), start());
        for _ in 0..1_500 {
            let mv = market.next(now, &book);
            assert_eq!(mv.account(), "m");
            book.apply(&mv).unwrap_or_else(|why| panic!("seed {seed}: {why}: {mv:?}"));
            account_for(&mv, &mut drift);
            now = now.plus_ms(200);
        }
        for ((wallet, asset), holding) in &book.rows {
            assert!(!holding.available.is_negative() && !holding.locked.is_negative(), "{wallet} {asset} {holding:?}");
            let was = begin.holding(wallet, asset);
            let (total, locked) = drift.get(&(wallet.clone(), asset.clone())).cloned().unwrap_or((Amount::ZERO, Amount::ZERO));
            assert!(holding.total().same_value(&was.total().plus(&total)), "seed {seed}: {wallet} {asset}");
            assert!(holding.locked.same_value(&was.locked.plus(&locked)), "seed {seed}: {wallet} {asset}");
        }
    }
}

#[test]
fn every_kind_of_movement_occurs_and_goes_on_occurring() {
    let (mut book, mut market, mut now) = (book(), Market::new("m", pairs(), 11), start());
    let mut late = BTreeSet::new();
    let (mut partial, mut whole, mut paid, mut wallets) = (0, 0, 0, BTreeSet::new());
    for step in 0..20_000 {
        let mv = market.next(now, &book);
        book.apply(&mv).unwrap();
        now = now.plus_ms(200);
        if step > 18_000 {
            late.insert(kind(&mv));
        }
        if let Move::Fill { done, wallet, gained, fee, .. } = &mv {
            assert!(fee.compare(gained).is_lt(), "{mv:?}");
            paid += usize::from(!fee.is_zero());
            *(if *done { &mut whole } else { &mut partial }) += 1;
            wallets.insert(wallet.clone());
        }
    }
    let expected = ["cancel", "deposit", "fill", "place", "withdraw_done", "withdraw_request"];
    assert_eq!(late.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert!(partial > 500 && whole > 500 && paid > 500, "{partial} partial, {whole} whole, {paid} with a fee");
    assert_eq!(wallets.len(), 3);
}

#[test]
fn orders_stay_few_and_end_exactly() {
    let (mut book, mut market, mut now) = (book(), Market::new("m", pairs(), 5), start());
    let mut open: BTreeMap<Name, Amount> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for _ in 0..10_000 {
        let mv = market.next(now, &book);
        book.apply(&mv).unwrap();
        now = now.plus_ms(50);
        match &mv {
            Move::Place { order, amount, .. } => {
                assert!(!amount.is_zero() && seen.insert(order.clone()), "{mv:?}");
                assert!(order.parse::<u64>().is_ok());
                open.insert(order.clone(), amount.clone());
            }
            Move::Fill { order, spent, gained, fee, done, .. } => {
                assert!(!spent.is_zero() && !gained.is_zero() && !fee.is_negative(), "{mv:?}");
                let left = open[order].minus(spent);
                assert!(!left.is_negative() && left.is_zero() == *done, "{mv:?} leaves {left}");
                if *done {
                    open.remove(order)
                } else {
                    open.insert(order.clone(), left)
                };
            }
            Move::Cancel { order, amount, .. } => assert!(open.remove(order).unwrap().same_value(amount)),
            Move::Deposit { .. } | Move::WithdrawRequest { .. } | Move::WithdrawDone { .. } => {}
            Move::Adjust { .. } | Move::Set { .. } => panic!("{mv:?}"),
        }
        assert!(open.len() <= 5);
    }
}

#[test]
fn withdrawal_is_done_no_sooner_than_a_second_after_it_was_asked_for() {
    let (mut book, mut market, mut now) = (book(), Market::new("m", pairs(), 5), start());
    let (mut asked, mut done) = (Vec::new(), 0);
    for _ in 0..10_000 {
        let mv = market.next(now, &book);
        book.apply(&mv).unwrap();
        match mv {
            Move::WithdrawRequest { asset, amount, .. } => asked.push((asset, amount, now.mono)),
            Move::WithdrawDone { asset, amount, .. } => {
                let nth = asked.iter().position(|(a, n, _)| *a == asset && *n == amount).expect("asked for");
                assert!(now.mono.since_ms(asked.remove(nth).2) >= 1_000);
                done += 1;
            }
            _ => {}
        }
        assert!(asked.len() <= 2);
        now = now.plus_ms(100);
    }
    assert!(done > 100, "{done}");
}

#[test]
fn amounts_have_no_more_decimals_than_the_book_shows() {
    let (mut book, mut market, mut now) = (book(), Market::new("m", pairs(), 9), start());
    for _ in 0..5_000 {
        let mv = market.next(now, &book);
        book.apply(&mv).unwrap();
        now = now.plus_ms(200);
    }
    let decimals = |wallet: &str, asset: &str| {
        let total = book.holding(wallet, asset).total();
        total.as_str().split_once('.').map_or(0, |(_, fraction)| fraction.len())
    };
    assert_eq!((decimals("exchange", "BTC"), decimals("exchange", "USD"), decimals("spot", "PEPE")), (8, 2, 18));
}

#[test]
fn same_seed_draws_the_same_and_another_seed_does_not() {
    let run = |seed| {
        let (mut book, mut market, mut now) = (book(), Market::new("m", pairs(), seed), start());
        let moves = (0..300).map(|_| {
            let mv = market.next(now, &book);
            book.apply(&mv).unwrap();
            now = now.plus_ms(200);
            mv
        });
        moves.collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn book_changed_by_others_stays_possible() {
    for seed in 0..10 {
        let (mut book, mut market, mut now) = (book(), Market::new("m", pairs(), seed), start());
        for step in 0..2_000 {
            if step % 37 == 0 {
                // Someone sets every row to next to nothing, locked amounts included.
                book.rows.values_mut().for_each(|holding| holding.locked = Amount::ZERO);
            }
            if step % 501 == 0 {
                book.rows.clear();
            }
            let mv = market.next(now, &book);
            book.apply(&mv).unwrap_or_else(|why| panic!("seed {seed}: {why}: {mv:?}"));
            now = now.plus_ms(300);
        }
    }
}

#[test]
fn refused_movement_is_not_tried_again() {
    let (mut book, mut market, mut now) = (book(), Market::new("m", pairs(), 4), start());
    let mut refused = BTreeSet::new();
    for _ in 0..3_000 {
        let mv = market.next(now, &book);
        now = now.plus_ms(200);
        match &mv {
            Move::Place { order, .. } | Move::Fill { order, .. } | Move::Cancel { order, .. } => {
                assert!(!refused.contains(order), "{mv:?}");
                if order.ends_with(['1', '4', '7']) {
                    refused.insert(order.clone());
                    market.refused(&mv);
                    continue;
                }
            }
            _ => {}
        }
        book.apply(&mv).unwrap();
    }
    assert!(refused.len() > 100);
}

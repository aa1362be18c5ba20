//! A living account: orders, fills, deposits and withdrawals drawn from a seed, each one a movement the book allows.
//!
//! Pure: the same seed, times and books give the same movements. It keeps no balances; what is held it reads from the book.

use std::cmp::Ordering;
use std::str::FromStr;

use bigdecimal::{BigDecimal, RoundingMode};

use crate::model::{Amount, Mono, Name, Now};
use crate::venue::sim::{Book, Market as Pair, Move};

/// Most orders open at a time.
const MAX_ORDERS: usize = 5;
/// Most withdrawals under way at a time.
const MAX_WITHDRAWALS: usize = 2;
/// Fee on what a fill gains, in basis points: what venues ask of a small taker.
const FEE_BPS: u64 = 10;
/// Largest step of a price at one move, in basis points.
const DRIFT_BPS: u64 = 30;
/// Fewest and most decimals an amount is drawn with; in between, as many as the book shows.
const DECIMALS: (u32, u32) = (2, 18);
/// Number of the first order. Digits alone, because some venues' order ids are numbers.
const FIRST_ORDER: u64 = 34_988_418_651;

/// One account's trading.
#[derive(Debug)]
pub struct Market {
    account: String,
    pairs: Vec<Pair>,
    /// Price of each pair, as it has drifted from the pair's own.
    prices: Vec<BigDecimal>,
    orders: Vec<Open>,
    withdrawals: Vec<Withdrawal>,
    last_order: u64,
    rng: fastrand::Rng,
}

#[derive(Debug, Clone)]
struct Open {
    order: Name,
    pair: usize,
    buy: bool,
    /// Of what it spends, still locked.
    left: Amount,
}

#[derive(Debug, Clone)]
struct Withdrawal {
    wallet: Name,
    asset: Name,
    amount: Amount,
    done_at: Mono,
}

impl Market {
    /// # Panics
    /// Without a pair: there would be nothing to draw.
    pub fn new(account: &str, pairs: Vec<Pair>, seed: u64) -> Self {
        assert!(!pairs.is_empty(), "a market trades at least one pair");
        let prices = pairs.iter().map(|pair| big(&pair.price)).collect();
        Self {
            account: account.to_owned(),
            pairs,
            prices,
            orders: Vec::with_capacity(MAX_ORDERS),
            withdrawals: Vec::with_capacity(MAX_WITHDRAWALS),
            last_order: FIRST_ORDER,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// The account whose book [`Market::next`] wants to see.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The next movement, allowed by `book` as it stands. Deposits are always possible, so there always is one. It counts
    /// as made; where the venue refuses it, say so with [`Market::refused`].
    pub fn next(&mut self, now: Now, book: &Book) -> Move {
        self.drift();
        self.forget_unlocked(book);
        for _ in 0..8 {
            let drawn = match self.rng.u8(0..100) {
                0..35 => self.place(book),
                35..75 => self.fill(book),
                75..87 => self.cancel(),
                87..92 => Some(self.deposit(book)),
                92..96 => self.withdraw_request(now, book),
                _ => self.withdraw_done(now),
            };
            if let Some(mv) = drawn {
                return mv;
            }
        }
        self.deposit(book)
    }

    /// The venue refused a movement of [`Market::next`]: what it was about is forgotten, and so not tried again.
    pub fn refused(&mut self, mv: &Move) {
        match mv {
            Move::Place { order, .. } | Move::Fill { order, .. } | Move::Cancel { order, .. } => {
                self.orders.retain(|open| open.order != *order);
            }
            Move::WithdrawRequest { .. } => {
                self.withdrawals.pop();
            }
            Move::WithdrawDone { .. } | Move::Deposit { .. } | Move::Adjust { .. } | Move::Set { .. } => {}
        }
    }

    /// Every price takes a small step, and stays between half and twice where it began.
    fn drift(&mut self) {
        for (pair, price) in self.pairs.iter().zip(&mut self.prices) {
            let base = big(&pair.price);
            let step = 10_000 + self.rng.u64(0..=2 * DRIFT_BPS) - DRIFT_BPS;
            let next = share(price, step, 10_000, decimals(&pair.price) + 2);
            if next > &base * 2 || &next * 2 < base {
                continue;
            }
            *price = next;
        }
    }

    /// What someone else unlocked (a fault, a person at the controls) can be spent no more.
    fn forget_unlocked(&mut self, book: &Book) {
        let mut locked = book.rows.iter().map(|(key, holding)| (key, holding.locked.clone())).collect::<Vec<_>>();
        let mut covers = |wallet: &Name, asset: &Name, amount: &Amount| {
            let row = locked.iter_mut().find(|((w, a), _)| w == wallet && a == asset);
            let Some((_, left)) = row.filter(|(_, left)| left.compare(amount) != Ordering::Less) else { return false };
            *left = left.minus(amount);
            true
        };
        let pairs = &self.pairs;
        self.orders.retain(|open| covers(&pairs[open.pair].wallet, open.spend(pairs), &open.left));
        self.withdrawals.retain(|w| covers(&w.wallet, &w.asset, &w.amount));
    }

    fn place(&mut self, book: &Book) -> Option<Move> {
        if self.orders.len() >= MAX_ORDERS {
            return None;
        }
        let (pair, buy) = (self.rng.usize(0..self.pairs.len()), self.rng.bool());
        let market = &self.pairs[pair];
        let asset = if buy { &market.quote } else { &market.base };
        let holding = book.holding(&market.wallet, asset);
        let size = share(&big(&market.size), self.rng.u64(20..=180), 100, self.scale(book, pair, false));
        let wanted = if buy { size * &self.prices[pair] } else { size };
        // Half of what there is, at most: the account should stay able to trade.
        let wanted = wanted.min(big(&holding.available) / 2);
        let amount = positive(&wanted, self.scale(book, pair, buy))?;
        self.last_order += 1;
        let order = Name::from(self.last_order.to_string());
        let open = Open { order: order.clone(), pair, buy, left: amount.clone() };
        self.gain(book, &open, &amount)?;
        let (account, wallet, spend) = (self.account.clone(), market.wallet.clone(), asset.clone());
        self.orders.push(open);
        Some(Move::Place { account, wallet, order, spend, amount })
    }

    /// Fills an order wholly (one time in three) or in part.
    fn fill(&mut self, book: &Book) -> Option<Move> {
        let nth = self.some_order()?;
        let percent = if self.rng.u8(0..3) == 0 { 100 } else { self.rng.u64(5..=90) };
        let open = self.orders[nth].clone();
        let scale = self.scale(book, open.pair, open.buy).max(decimals(&open.left));
        let part = positive(&share(&big(&open.left), percent, 100, scale), scale);
        let (spent, gained) = part
            .and_then(|part| self.gain(book, &open, &part).map(|gained| (part, gained)))
            .or_else(|| self.gain(book, &open, &open.left).map(|gained| (open.left.clone(), gained)))?;
        let left = open.left.minus(&spent);
        let fee = share(&big(&gained), FEE_BPS, 10_000, decimals(&gained));
        let pair = &self.pairs[open.pair];
        let mv = Move::Fill {
            account: self.account.clone(),
            wallet: pair.wallet.clone(),
            order: open.order.clone(),
            spend: open.spend(&self.pairs).clone(),
            spent,
            gain: if open.buy { pair.base.clone() } else { pair.quote.clone() },
            gained,
            fee: amount(&fee),
            price: amount(&self.prices[open.pair]),
            done: left.is_zero(),
        };
        if left.is_zero() {
            self.orders.swap_remove(nth);
        } else {
            self.orders[nth].left = left;
        }
        Some(mv)
    }

    fn cancel(&mut self) -> Option<Move> {
        let nth = self.some_order()?;
        let open = self.orders.swap_remove(nth);
        let spend = open.spend(&self.pairs).clone();
        let wallet = self.pairs[open.pair].wallet.clone();
        Some(Move::Cancel { account: self.account.clone(), wallet, order: open.order, spend, amount: open.left })
    }

    fn deposit(&mut self, book: &Book) -> Move {
        let (wallet, asset, drawn) = self.draw(book, 50..=300);
        // A size so small that its draw rounds to nothing is deposited as it stands.
        let amount = drawn.unwrap_or_else(|| self.pairs[0].size.clone());
        Move::Deposit { account: self.account.clone(), wallet, asset, amount }
    }

    fn withdraw_request(&mut self, now: Now, book: &Book) -> Option<Move> {
        if self.withdrawals.len() >= MAX_WITHDRAWALS {
            return None;
        }
        let (wallet, asset, drawn) = self.draw(book, 20..=200);
        let quarter = big(&book.holding(&wallet, &asset).available) / 4;
        let amount = drawn.filter(|amount| big(amount) <= quarter)?;
        let done_at = now.mono.plus_ms(self.rng.u64(1_000..=5_000));
        self.withdrawals.push(Withdrawal { wallet: wallet.clone(), asset: asset.clone(), amount: amount.clone(), done_at });
        Some(Move::WithdrawRequest { account: self.account.clone(), wallet, asset, amount })
    }

    fn withdraw_done(&mut self, now: Now) -> Option<Move> {
        let nth = self.withdrawals.iter().position(|w| w.done_at <= now.mono)?;
        let Withdrawal { wallet, asset, amount, .. } = self.withdrawals.remove(nth);
        Some(Move::WithdrawDone { account: self.account.clone(), wallet, asset, amount })
    }

    fn some_order(&mut self) -> Option<usize> {
        (!self.orders.is_empty()).then(|| self.rng.usize(0..self.orders.len()))
    }

    /// A wallet, one of its assets, and so many percent of an order's typical worth in it, unless that rounds to nothing.
    fn draw(&mut self, book: &Book, percent: std::ops::RangeInclusive<u64>) -> (Name, Name, Option<Amount>) {
        let (nth, quote) = (self.rng.usize(0..self.pairs.len()), self.rng.bool());
        let pair = &self.pairs[nth];
        let (asset, worth) =
            if quote { (&pair.quote, big(&pair.size) * &self.prices[nth]) } else { (&pair.base, big(&pair.size)) };
        let scale = self.scale(book, nth, quote);
        let amount = positive(&share(&worth, self.rng.u64(percent), 100, scale), scale);
        (pair.wallet.clone(), asset.clone(), amount)
    }

    /// What an order gains for so much, at the present price. `None`: it rounds to nothing.
    fn gain(&self, book: &Book, open: &Open, spent: &Amount) -> Option<Amount> {
        let price = &self.prices[open.pair];
        let gained = if open.buy { big(spent) / price } else { big(spent) * price };
        positive(&gained, self.scale(book, open.pair, !open.buy))
    }

    /// Decimals of a pair's quote or base: as the book shows it, so that amounts look like the venue's own.
    fn scale(&self, book: &Book, pair: usize, quote: bool) -> u32 {
        let pair = &self.pairs[pair];
        let asset = if quote { &pair.quote } else { &pair.base };
        let holding = book.holding(&pair.wallet, asset);
        let shown = decimals(&holding.available).max(decimals(&holding.locked));
        // An order's typical size must be expressible in what the book shows of it.
        let shown = if quote { shown } else { shown.max(decimals(&pair.size)) };
        shown.clamp(DECIMALS.0, DECIMALS.1)
    }
}

impl Open {
    fn spend<'a>(&self, pairs: &'a [Pair]) -> &'a Name {
        let pair = &pairs[self.pair];
        if self.buy { &pair.quote } else { &pair.base }
    }
}

/// `part / whole` of a value, cut to so many decimals.
fn share(value: &BigDecimal, part: u64, whole: u64, scale: u32) -> BigDecimal {
    (value * BigDecimal::from(part) / BigDecimal::from(whole)).with_scale_round(i64::from(scale), RoundingMode::Down)
}

/// The value cut to so many decimals, unless nothing is left of it.
fn positive(value: &BigDecimal, scale: u32) -> Option<Amount> {
    let amount = amount(&value.with_scale_round(i64::from(scale), RoundingMode::Down));
    (!amount.is_zero() && !amount.is_negative()).then_some(amount)
}

fn decimals(amount: &Amount) -> u32 {
    amount.as_str().split_once('.').map_or(0, |(_, fraction)| fraction.len() as u32)
}

fn big(amount: &Amount) -> BigDecimal {
    BigDecimal::from_str(amount.as_str()).expect("an Amount's text is a plain decimal")
}

fn amount(value: &BigDecimal) -> Amount {
    value.to_plain_string().parse().expect("a plain decimal of bounded scale is an Amount")
}

//! A simulated account and the JSON the venue writes of it, key for key.
//!
//! Who is told what, and when, is the simulator's business.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Amount, Name};
use crate::venue::sim::{Book, Holding, Move, SimAccount};

/// The number of the manual's example.
const FIRST_GSN: u64 = 105_240_183;

/// One account: its secrets, its money, and what the venue counts besides.
pub(super) struct Account {
    pub id: String,
    pub credentials: BTreeMap<String, String>,
    pub book: Book,
    /// The account id where the book names no wallet.
    wallet: Name,
    pub gsn: u64,
    pub orders: u64,
    done: u64,
    volume: Amount,
    pub last_update: Option<String>,
}

impl Account {
    pub fn new(index: usize, account: SimAccount) -> Self {
        let wallet = account.book.rows.keys().next().map(|(wallet, _)| wallet.clone());
        Self {
            id: account.id,
            credentials: account.credentials,
            book: account.book,
            wallet: wallet.unwrap_or_else(|| Name::from(format!("{}", 1_000_004 + index))),
            gsn: FIRST_GSN,
            orders: 46,
            done: 0,
            volume: Amount::ZERO,
            last_update: None,
        }
    }

    pub fn credential(&self, name: &str) -> Option<&str> {
        self.credentials.get(name).map(String::as_str)
    }

    /// What the venue counts besides money.
    pub fn count(&mut self, mv: &Move) {
        match mv {
            Move::Place { .. } => self.orders += 1,
            Move::Cancel { .. } => self.done += 1,
            Move::Fill { spend, spent, gain, gained, done, .. } => {
                self.done += u64::from(*done);
                let quoted = if spend == "VND" { Some(spent) } else { (gain == "VND").then_some(gained) };
                self.volume = self.volume.plus(quoted.unwrap_or(&Amount::ZERO));
            }
            Move::Deposit { .. }
            | Move::WithdrawRequest { .. }
            | Move::WithdrawDone { .. }
            | Move::Adjust { .. }
            | Move::Set { .. } => {}
        }
    }

    /// The rows that `lists` lets through, as the venue writes them: one element of `data` per wallet.
    pub fn portfolio(&self, lists: impl Fn(&(Name, Name), &Holding) -> bool) -> Vec<PortfolioData> {
        let mut wallets: Vec<Name> = self.book.rows.keys().map(|(wallet, _)| wallet.clone()).collect();
        wallets.dedup();
        if wallets.is_empty() {
            wallets.push(self.wallet.clone());
        }
        let rows = |wallet: &Name| {
            let rows = self.book.rows.iter().filter(|(key, holding)| key.0 == *wallet && lists(key, holding));
            rows.map(|((_, asset), holding)| AssetBalance::of(asset, holding)).collect()
        };
        wallets.iter().map(|wallet| self.element(wallet, rows(wallet))).collect()
    }

    pub fn element(&self, wallet: &Name, asset_balances: Vec<AssetBalance>) -> PortfolioData {
        PortfolioData {
            id: wallet.clone(),
            maker_fee_rate: "0.0001",
            taker_fee_rate: "0.0005",
            asset_balances,
            stats: Stats {
                order_stats: OrderStats {
                    total_orders: self.orders.to_string(),
                    total_done_orders: self.done.to_string(),
                    total_open_orders: self.orders.saturating_sub(self.done).to_string(),
                    total_pending_orders: "0",
                    total_accepted_orders: "0",
                },
                trading_stats: TradingStats { total_trading_volume: self.volume.clone() },
            },
        }
    }
}

// What the venue writes, key for key.

#[derive(Serialize)]
pub(super) struct PortfolioMessage {
    pub channel: &'static str,
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<PortfolioData>>,
    pub timestamp: String,
    pub gsn: u64,
}

#[derive(Serialize)]
pub(super) struct PortfolioData {
    pub id: Name,
    maker_fee_rate: &'static str,
    taker_fee_rate: &'static str,
    pub asset_balances: Vec<AssetBalance>,
    stats: Stats,
}

#[derive(Serialize)]
pub(super) struct AssetBalance {
    asset: Name,
    pub balance: String,
    pub free: String,
    locked: String,
}

impl AssetBalance {
    fn of(asset: &Name, holding: &Holding) -> Self {
        let [balance, free, locked] = [&holding.total(), &holding.available, &holding.locked].map(ToString::to_string);
        Self { asset: asset.clone(), balance, free, locked }
    }
}

#[derive(Serialize)]
pub(super) struct Stats {
    order_stats: OrderStats,
    trading_stats: TradingStats,
}

#[derive(Serialize)]
pub(super) struct OrderStats {
    total_orders: String,
    total_done_orders: String,
    total_open_orders: String,
    total_pending_orders: &'static str,
    total_accepted_orders: &'static str,
}

#[derive(Serialize)]
pub(super) struct TradingStats {
    total_trading_volume: Amount,
}

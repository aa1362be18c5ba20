//! The wallets of one account and how far each got on this connection.
//!
//! Bounded by the configuration. It holds no balances and knows no requests in flight.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::wire;
use crate::model::{Extra, Field, Name, RowUpdate};
use crate::venue::WalletSpec;

/// Addresses a text names.
const NAMED: usize = 3;

pub(super) struct Roster {
    pub(super) wallets: Vec<Wallet>,
    /// Each wallet under its configured and its canonical spelling.
    by_address: HashMap<Name, usize>,
}

pub(super) struct Wallet {
    /// As configured.
    pub(super) name: Name,
    /// Sorted. `None`: every asset.
    assets: Option<Vec<Name>>,
    chain: Name,
    /// The chain, as each row carries it.
    extra: Extra,
    chain_said: bool,
    pub(super) standing: Standing,
    /// Listed in the present round.
    pub(super) listed: bool,
}

/// How far a wallet's rows are proven in this connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// No complete list yet.
    Unproven,
    Proven,
    /// The venue calls the address invalid; it is not asked for again in this connection.
    Refused,
    /// Its list could not be read.
    Unreadable,
    /// A list came and left it out. Empty, or a part that was lost: the next list tells.
    LeftOut,
}

impl Roster {
    pub(super) fn new(specs: &[WalletSpec]) -> Self {
        let wallets: Vec<_> = specs.iter().map(Wallet::new).collect();
        let spellings = |(i, wallet): (usize, &Wallet)| [(wallet.name.clone(), i), (wire::canonical(&wallet.name).into(), i)];
        let by_address = wallets.iter().enumerate().flat_map(spellings).collect();
        Self { wallets, by_address }
    }

    pub(super) fn all(&self) -> Range<usize> {
        0..self.wallets.len()
    }

    /// The wallet of an address in the venue's spelling.
    pub(super) fn find(&self, address: &str) -> Option<usize> {
        self.by_address.get(address).or_else(|| self.by_address.get(&*wire::canonical(address))).copied()
    }

    /// Those the venue takes, as far as is known.
    pub(super) fn askable(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        range.filter(|&at| self.wallets[at].standing != Standing::Refused)
    }

    /// Starts a round in which nothing is listed yet, and writes its request.
    pub(super) fn ask(&mut self, range: Range<usize>) -> String {
        self.wallets.iter_mut().for_each(|wallet| wallet.listed = false);
        let asked = self.askable(range).map(|at| &self.wallets[at]);
        let wallets = asked.map(|w| wire::Asked { address: w.name.as_str().into(), assets: w.assets.clone() }).collect();
        let request = wire::Request { kind: "subscribe".into(), wallets };
        serde_json::to_string(&request).expect("a request of strings is JSON")
    }

    /// Was every wallet listed in this round that can be?
    pub(super) fn is_complete(&self) -> bool {
        self.wallets.iter().all(|wallet| wallet.listed || wallet.standing == Standing::Refused)
    }

    /// Wallets of a standing that this round did not list.
    pub(super) fn unlisted(&self, standing: Standing) -> Vec<Name> {
        let silent = self.wallets.iter().filter(|wallet| !wallet.listed && wallet.standing == standing);
        silent.map(|wallet| wallet.name.clone()).collect()
    }

    /// Those of which the next list tells whether they are empty.
    pub(super) fn unsettled(&self) -> HashSet<Name> {
        let left_out = self.wallets.iter().filter(|wallet| wallet.standing == Standing::LeftOut);
        left_out.map(|wallet| wallet.name.clone()).collect()
    }

    /// The addresses of a standing for a text: the first few, and how many more. `None`: there are none.
    pub(super) fn named(&self, standing: Standing) -> Option<String> {
        let all: Vec<_> = self.wallets.iter().filter(|w| w.standing == standing).map(|w| w.name.as_str()).collect();
        let first = all[..all.len().min(NAMED)].join(", ");
        match all.len() {
            0 => None,
            count if count > NAMED => Some(format!("{first} and {} more", count - NAMED)),
            _ => Some(first),
        }
    }
}

impl Wallet {
    fn new(spec: &WalletSpec) -> Self {
        let chain = Name::from(wire::chain_of(&spec.address).unwrap_or_default());
        let assets = spec.assets.as_ref().map(|assets| {
            let mut names: Vec<Name> = assets.iter().map(Name::from).collect();
            names.sort_unstable();
            names
        });
        let extra = chain_extra(&chain);
        let name = Name::from(spec.address.as_str());
        Self { name, assets, chain, extra, chain_said: false, standing: Standing::Unproven, listed: false }
    }

    /// Takes the chain from the first list that names one. False: this list is of another.
    pub(super) fn is_on(&mut self, chain: Option<&str>) -> bool {
        let Some(chain) = chain else { return true };
        let first = !std::mem::replace(&mut self.chain_said, true);
        if first && chain != self.chain {
            self.chain = chain.into();
            self.extra = chain_extra(&self.chain);
        }
        chain == self.chain
    }

    pub(super) fn wants(&self, asset: &Name) -> bool {
        self.assets.as_ref().is_none_or(|assets| assets.binary_search(asset).is_ok())
    }

    /// Only the total is known: what of it is bound in open orders, the venue does not say.
    pub(super) fn row(&self, asset: Name, total: Field) -> RowUpdate {
        let extra = Some(Arc::clone(&self.extra));
        RowUpdate {
            total,
            available: Field::Unknown,
            locked: Field::Unknown,
            extra,
            ..RowUpdate::new(self.name.clone(), asset)
        }
    }
}

fn chain_extra(chain: &Name) -> Extra {
    Arc::new([("chain", chain.clone())])
}

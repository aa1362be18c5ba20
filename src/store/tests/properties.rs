//! Whatever venues say: a reader who applies what it is told holds what the store holds.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ASSETS: [&str; 6] = ["BTC", "ETH", "USD", "UST", "DOT", "XMR"];
const WALLETS: [&str; 2] = ["spot", "margin"];

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        2 => Just(Field::Keep),
        1 => Just(Field::Unknown),
        2 => Just(Field::Is(Amount::ZERO)),
        4 => (1u64..4).prop_map(|n| Field::Is(n.into())),
        1 => (0u64..3).prop_map(|n| Field::Derived(n.into())),
    ]
}

fn rows() -> impl Strategy<Value = Vec<RowUpdate>> {
    let row = (0..ASSETS.len(), 0..WALLETS.len(), field(), field(), field());
    let row = row.prop_map(|(asset, wallet, total, available, locked)| RowUpdate {
        total,
        available,
        locked,
        ..RowUpdate::new(WALLETS[wallet], ASSETS[asset])
    });
    vec(row, 0..5)
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Account), (0..WALLETS.len()).prop_map(|w| Scope::Wallets(vec![WALLETS[w].into()]))]
}

/// One event. `ms` is how long before now a question left.
#[derive(Debug, Clone)]
enum Said {
    Rows(Vec<RowUpdate>),
    List { rows: Vec<RowUpdate>, scope: Scope, asked: Option<u64> },
    Compared { rows: Vec<RowUpdate>, scope: Scope, zero: bool, ms: u64 },
    Synced,
    Unsynced,
    Omitted,
    Duty(bool),
    Unproven(usize),
    Order { id: usize, is_final: bool, status: usize },
}

fn said() -> impl Strategy<Value = Said> {
    let list = (rows(), scope(), proptest::option::of(0u64..8));
    prop_oneof![
        4 => rows().prop_map(Said::Rows),
        2 => list.prop_map(|(rows, scope, asked)| Said::List { rows, scope, asked }),
        3 => (rows(), scope(), any::<bool>(), 0u64..8).prop_map(|(rows, scope, zero, ms)| Said::Compared { rows, scope, zero, ms }),
        2 => Just(Said::Synced),
        1 => Just(Said::Unsynced),
        1 => Just(Said::Omitted),
        1 => any::<bool>().prop_map(Said::Duty),
        1 => (0..ASSETS.len()).prop_map(Said::Unproven),
        1 => (0usize..6, any::<bool>(), 0usize..3).prop_map(|(id, is_final, status)| Said::Order { id, is_final, status }),
    ]
}

impl Said {
    fn event(&self, now: Now) -> VenueEvent {
        let before = |ms: u64| Mono(now.mono.0.saturating_sub(ms * 1000));
        match self.clone() {
            Self::Rows(rows) => VenueEvent::Rows(rows),
            Self::List { rows, scope, asked } => {
                let freshness = asked.map_or(Freshness::Stream, |ms| Freshness::Asked { sent: before(ms) });
                VenueEvent::Snapshot(Snapshot { freshness, scope, rows })
            }
            Self::Compared { rows, scope, zero, ms } => {
                let absence = if zero { Absence::Zero } else { Absence::Nothing };
                VenueEvent::Reconcile(Reconcile { sent: before(ms), scope, absence, rows })
            }
            Self::Synced => VenueEvent::Synced,
            Self::Unsynced => syncing(),
            Self::Omitted => VenueEvent::Omitted(reason()),
            Self::Duty(fails) => VenueEvent::Duty(fails.then(reason)),
            Self::Unproven(asset) => unproven(&[ASSETS[asset]]),
            Self::Order { id, is_final, status } => VenueEvent::Orders(vec![OrderUpdate {
                order_id: format!("{id}").as_str().into(),
                asset: ASSETS[id].into(),
                filled: None,
                status: ["open", "partly", "done"][status].into(),
                is_final,
                extra: None,
            }]),
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Message(usize, Vec<Said>),
    Opened(usize),
    Lost(usize, AccountState),
}

fn step() -> impl Strategy<Value = Step> {
    let states = [AccountState::Stale, AccountState::Maintenance, AccountState::AuthFailed];
    prop_oneof![
        12 => (0usize..2, vec(said(), 1..4)).prop_map(|(account, said)| Step::Message(account, said)),
        2 => (0usize..2).prop_map(Step::Opened),
        1 => (0usize..2, 0usize..3).prop_map(move |(account, state)| Step::Lost(account, states[state])),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let assets = proptest::option::of(proptest::sample::subsequence(ASSETS.to_vec(), 1..ASSETS.len()));
    (assets, any::<bool>()).prop_map(|(assets, nonzero)| {
        let mut filter =
            Filter { assets: assets.map(|list| list.into_iter().map(str::to_owned).collect()), nonzero, ..Filter::default() };
        filter.normalize();
        filter
    })
}

/// What a client holds: every row whole, and no zero row where it asked for none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Held {
    gsn: u64,
    complete: bool,
    rows: BTreeMap<String, String>,
}

impl Held {
    fn take(&mut self, changes: &Changes, nonzero: bool) {
        if changes.full {
            self.rows.clear();
        }
        (self.gsn, self.complete) = (changes.cut, changes.complete);
        for record in &changes.accounts {
            self.rows.insert(format!("{:?}", record.key), format!("{record:?}"));
        }
        for row in &changes.balances {
            let key = format!("{:?} {} {}", row.key, row.wallet, row.asset);
            match nonzero && row.is_zero() {
                true => self.rows.remove(&key),
                false => self.rows.insert(key, format!("{row:?}")),
            };
        }
        for order in &changes.orders {
            self.rows.insert(format!("{:?} {}", order.key, order.order_id), format!("{order:?}"));
        }
    }
}

fn run(store: &Store, accounts: &[AccountIdx], now: Now, step: &Step) {
    match step {
        Step::Message(account, said) => _ = store.apply(accounts[*account], now, said.iter().map(|said| said.event(now))),
        Step::Opened(account) => {
            store.connecting(accounts[*account], now);
            store.opened(accounts[*account], now);
        }
        Step::Lost(account, state) => store.lost(accounts[*account], now, *state, reason()),
    }
}

/// No row is live where its account is not, and none without an account.
fn truthful(all: &Changes) -> Result<(), TestCaseError> {
    for row in &all.balances {
        let record = all.accounts.iter().find(|record| record.key == *row.key).expect("every row has an account");
        prop_assert!(row.state != RowState::Live || record.state.is_proven(), "{row:?} of {record:?}");
    }
    let proven = all.accounts.iter().all(|record| record.state.is_proven());
    prop_assert!(proven || !all.complete);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn changes_since_any_cursor_lead_to_the_full_state(
        steps in vec(step(), 1..40), filters in vec(filter(), 3), pace in 1usize..5
    ) {
        let store = Store::new("e", Arc::default());
        let mut now = Now::default().plus_ms(1_000);
        let accounts = ["a", "b"].map(|name| store.add_account(key(name), true, 8, now));
        let channels = [Channel::Balances, Channel::Orders];
        let views: Vec<_> = filters.iter().flat_map(|f| channels.map(|c| (f, c))).collect();
        // Every state a reader may have stopped at, per view.
        let mut left: Vec<Vec<Held>> = vec![Vec::new(); views.len()];
        let mut last = store.gsn();
        for (i, step) in steps.iter().enumerate() {
            now = now.plus_ms(3);
            run(&store, &accounts, now, step);
            // `connecting` and `opened` are a commit each; everything else is one.
            let most = if matches!(step, Step::Opened(_)) { 2 } else { 1 };
            prop_assert!(store.gsn() >= last && store.gsn() <= last + most, "a message is at most one commit");
            last = store.gsn();
            truthful(&store.changes_since(0, &accounts, &Filter::default(), Channel::Balances))?;
            for (left, (filter, channel)) in left.iter_mut().zip(&views) {
                let mut full = Held::default();
                full.take(&store.changes_since(0, &accounts, filter, *channel), filter.nonzero);
                for earlier in left.iter() {
                    let mut reader = earlier.clone();
                    let changes = store.changes_since(earlier.gsn, &accounts, filter, *channel);
                    prop_assert_eq!(changes.cut, store.gsn());
                    prop_assert!(changes.balances.iter().all(|row| row.gsn > earlier.gsn && row.gsn <= changes.cut));
                    prop_assert!(changes.balances.windows(2).all(|w| w[0].key != w[1].key || w[0].gsn <= w[1].gsn));
                    reader.take(&changes, filter.nonzero);
                    prop_assert_eq!(&reader, &full);
                }
                if i % pace == 0 {
                    left.push(full);
                }
            }
        }
    }
}

//! A fifth venue, to show that one is its folder and a line in a list: nothing outside this folder knows what it says.
//!
//! A bank of a few words. The client sends `{"login":key}`; the venue answers `{"all":[[wallet, asset, free, held], …]}` or `{"denied":true}`,
//! then pushes `{"row":[…]}` at each change. `{"list":true}` asks for everything again. Amounts are strings; what is zero is not listed.

mod session;
mod sim;

use std::collections::BTreeMap;
use std::sync::Arc;

use balance_gateway::venue::sim::{Book, Market, Sample, SimAccount};
use balance_gateway::venue::{AccountSpec, Connected, HostLimits, Problem, Shared, Venue, Window};

/// The venue's row in the list.
pub const VENUE: Venue = Venue {
    name: "toy",
    title: "Toy bank",
    manual: "https://toy.example/manual",
    ws_url: "wss://toy.example/stream",
    rest_url: "https://toy.example",
    limits: HostLimits { connects: Window { count: 20, per_ms: 10_000 }, open: 100, calls: Window { count: 1, per_ms: 1_000 } },
    liveness_bound_ms: 12_000,
    resyncs: &[],
    connect,
    simulate: |setup| Box::new(sim::Toy::new(setup)),
    sample,
};

fn connect(spec: &AccountSpec, _: &Shared) -> Connected {
    let mut problems = spec.options.reader().finish();
    if !spec.credentials.has("key") {
        problems.push(Problem::new("credentials.key", "missing; the bank knows you by it"));
    }
    problems.extend(spec.credentials.unknown(&["key"]));
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Arc::new(session::Toy(spec.clone())))
}

fn sample() -> Sample {
    let amount = |text: &str| text.parse().expect("a hand-written amount");
    let (gold, coin) = ("GOLD".into(), "COIN".into());
    Sample {
        account: SimAccount {
            id: "toy-main".into(),
            credentials: BTreeMap::from([("key".to_owned(), "open sesame".to_owned())]),
            book: Book::of(&[
                ("vault", "GOLD", "12.500", "0"),
                ("vault", "COIN", "9000.75", "10"),
                ("purse", "COIN", "3", "0"),
            ]),
        },
        wallets: Vec::new(),
        ws_path: "/stream",
        rest_path: "",
        markets: vec![Market { wallet: "vault".into(), base: gold, quote: coin, price: amount("55.5"), size: amount("0.25") }],
    }
}

//! What every venue must do, over the list of venues and one more that lives in this folder alone. Each test names the promise; none names
//! a venue.

use std::collections::BTreeMap;

use balance_gateway::model::{AccountState, Amount, Channel, Filter, Mono, ReasonCode, RowState};
use balance_gateway::sim::{Fleet, FleetOptions};
use balance_gateway::venue::sim::Move;
use balance_gateway::venue::{AccountSpec, Credentials, Options, Shared, Venue};

use crate::world::net::Item;
use crate::world::{VenueWish, World};
use crate::{LIST, knows};

/// What a first connection may take, simulated latency included.
const CONNECT_MS: u64 = 15_000;
/// As [`crate::plan::SETTLE_MS`], for a single fault.
const RETURN_MS: u64 = 120_000;

fn world(venue: &'static Venue, pace_ms: u64) -> World {
    let wish = VenueWish { venue, options: BTreeMap::new(), owners: vec![vec!["alice".into()]], pace_ms };
    World::new(7, &[wish], Vec::new(), knows)
}

/// A world whose account has come up.
fn up(venue: &'static Venue) -> World {
    let mut world = world(venue, 0);
    settle(&mut world, CONNECT_MS);
    world
}

fn settle(world: &mut World, bound_ms: u64) {
    if let Err(why) = world.settle(bound_ms) {
        panic!("{}: {why}", world.sides[0].venue.name);
    }
}

fn pass(world: &mut World, ms: u64) {
    let end = world.now.mono.plus_ms(ms);
    world.run(end);
    assert_eq!(world.failure, None, "{}", world.sides[0].venue.name);
}

fn state(world: &World) -> (AccountState, Option<ReasonCode>) {
    let record = world.gateway.store.record(world.gateway.upstreams[0].idx).unwrap();
    (record.state, record.reason.as_ref().map(|reason| reason.code))
}

/// Lets time pass until the account is no longer proven; tells how many ms that took.
fn until_unproven(world: &mut World, bound_ms: u64) -> u64 {
    let begin = world.now.mono;
    while state(world).0.is_proven() {
        assert!(world.now.mono <= begin.plus_ms(bound_ms), "{} is still live", world.sides[0].venue.name);
        pass(world, 10);
    }
    let rows = world.gateway.rows(0);
    assert!(!rows.is_empty() && rows.iter().all(|row| row.state == RowState::Stale), "rows stay, as stale");
    world.now.mono.since_ms(begin)
}

/// Something that is held.
fn held(world: &World) -> (compact_str::CompactString, compact_str::CompactString) {
    let side = &world.sides[0];
    let book = side.sim.book(&side.account).unwrap();
    let row = book.rows.iter().find(|(_, holding)| !holding.is_zero() && holding.locked.is_zero());
    row.map(|(key, _)| key.clone()).expect("the sample holds something that is not locked")
}

fn set(world: &mut World, amount: &str) -> (compact_str::CompactString, compact_str::CompactString) {
    let (wallet, asset) = held(world);
    let account = world.sides[0].account.clone();
    let available: Amount = amount.parse().unwrap();
    let mv = Move::Set { account, wallet: wallet.clone(), asset: asset.clone(), available, locked: Amount::ZERO };
    world.moves(0, &mv);
    (wallet, asset)
}

#[test]
fn a_venue_presents_itself_sanely() {
    for venue in LIST.iter() {
        assert!(
            !venue.name.is_empty() && venue.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
            "{}",
            venue.name
        );
        assert!(!venue.title.is_empty(), "{}", venue.name);
        assert!(venue.manual.starts_with("https://"), "{}", venue.name);
        assert!(venue.ws_url.starts_with("wss://") && venue.rest_url.starts_with("https://"), "{}", venue.name);
        assert!(!venue.rest_url.ends_with('/'), "{}", venue.name);
        assert!((1_000..=120_000).contains(&venue.liveness_bound_ms), "{}", venue.name);
        let limits = venue.limits;
        assert!(limits.open > 0 && limits.connects.count > 0 && limits.calls.count > 0, "{}", venue.name);
        let twins = LIST.iter().filter(|other| other.name == venue.name).count();
        assert_eq!(twins, 1, "{} stands twice in the list", venue.name);
    }
}

#[test]
fn a_sample_is_valid_on_both_sides() {
    for venue in LIST.iter() {
        let sample = (venue.sample)();
        let secrets = sample.account.credentials.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut spec = AccountSpec {
            id: sample.account.id.as_str().into(),
            ws_url: format!("ws://127.0.0.1:1{}", sample.ws_path),
            rest_url: format!("http://127.0.0.1:1{}", sample.rest_path),
            credentials: Credentials::plain(secrets),
            wallets: sample.wallets.clone(),
            options: Options::default(),
        };
        assert!((venue.connect)(&spec, &Shared::default()).is_ok(), "{}", venue.name);
        assert!(!sample.markets.is_empty() && !sample.account.book.rows.is_empty(), "{}", venue.name);
        for market in &sample.markets {
            let trades = |asset: &str| !sample.account.book.holding(&market.wallet, asset).is_zero();
            assert!(trades(&market.base) || trades(&market.quote), "{}: a market without money", venue.name);
        }
        spec.options = Options::new(BTreeMap::from([("no_such_option".to_owned(), toml::Value::from(1))]));
        let problems = (venue.connect)(&spec, &Shared::default()).err().expect("an unknown option is refused");
        assert!(problems.iter().any(|problem| problem.key == "options.no_such_option"), "{}: {problems:?}", venue.name);
        (spec.options, spec.credentials) = (Options::default(), Credentials::plain([("no_such_secret", "s")]));
        let problems = (venue.connect)(&spec, &Shared::default()).err().expect("an unknown credential is refused");
        assert!(problems.iter().any(|problem| problem.key == "credentials.no_such_secret"), "{}: {problems:?}", venue.name);
    }
}

#[test]
fn a_connection_ends_in_the_exact_book() {
    for venue in LIST.iter() {
        up(venue);
    }
}

#[test]
fn money_that_moves_shows() {
    for venue in LIST.iter() {
        let mut world = up(venue);
        world.sides[0].pace_ms = 500;
        world.begin_moving(0);
        pass(&mut world, 60_000);
        world.sides[0].pace_ms = 0;
        assert!(world.stats.moves > 60, "{}", venue.name);
        settle(&mut world, RETURN_MS);
    }
}

#[test]
fn a_lost_connection_makes_everything_stale_at_once() {
    for venue in LIST.iter() {
        let mut world = up(venue);
        world.cut(0);
        assert!(until_unproven(&mut world, 1_000) <= 20, "{}", venue.name);
        assert_eq!(state(&world), (AccountState::Stale, Some(ReasonCode::UpstreamDisconnected)), "{}", venue.name);
        settle(&mut world, RETURN_MS);
    }
}

#[test]
fn silence_makes_everything_stale_within_the_liveness_bound() {
    for venue in LIST.iter() {
        let mut world = up(venue);
        world.network(0, "half open", |net| (net.half_open, net.dial_hangs) = (true, true));
        let took = until_unproven(&mut world, venue.liveness_bound_ms + 20);
        assert!(took > 1_000, "{}: noticed after {took} ms, as if it had been told", venue.name);
        world.heal(0);
        settle(&mut world, RETURN_MS);
    }
}

#[test]
fn a_quiet_venue_stays_live() {
    for venue in LIST.iter() {
        let mut world = up(venue);
        for _ in 0..600 {
            pass(&mut world, 500);
            assert_eq!(state(&world).0, AccountState::Live, "{}", venue.name);
        }
    }
}

#[test]
fn what_moved_while_the_venue_was_away_shows_after_its_return() {
    for venue in LIST.iter() {
        let mut world = up(venue);
        world.network(0, "refuse", |net| net.refuse = true);
        world.cut(0);
        until_unproven(&mut world, 1_000);
        set(&mut world, "123.000000000000000001");
        pass(&mut world, 20_000);
        assert!(!state(&world).0.is_proven(), "{}", venue.name);
        world.heal(0);
        settle(&mut world, RETURN_MS);
    }
}

#[test]
fn a_vanished_asset_becomes_an_explicit_zero_row() {
    for venue in LIST.iter() {
        for away in [true, false] {
            let mut world = up(venue);
            if away {
                world.cut(0);
                pass(&mut world, 100);
            }
            let (wallet, asset) = set(&mut world, "0");
            settle(&mut world, RETURN_MS);
            let rows = world.gateway.rows(0);
            let row = rows.iter().find(|row| row.wallet == wallet && row.asset == asset);
            let row = row.unwrap_or_else(|| panic!("{}: the row is gone", venue.name));
            assert!(row.is_zero() && row.state == RowState::Live, "{}: {row:?}", venue.name);
        }
    }
}

#[test]
fn an_asset_that_no_row_can_show_makes_its_account_incomplete_and_is_named_as_the_reason() {
    for venue in LIST.iter() {
        let mut world = up(venue);
        let (wallet, _) = held(&world);
        let account = world.sides[0].account.clone();
        let hold = |world: &mut World, available: &str| {
            let (wallet, asset, available) = (wallet.clone(), "X".repeat(200).into(), available.parse().unwrap());
            world.moves(0, &Move::Set { account: account.clone(), wallet, asset, available, locked: Amount::ZERO });
        };
        hold(&mut world, "5");
        // Beyond the moment at which the venue tells of it, the world itself fails where the account passes for whole.
        for _ in 0..3 {
            pass(&mut world, 100_000);
            let idx = world.gateway.upstreams[0].idx;
            let all = world.gateway.store.changes_since(0, &[idx], &Filter::default(), Channel::Balances);
            assert!(!all.complete && all.accounts[0].reason.is_some(), "{}: {:?}", venue.name, state(&world));
        }
        hold(&mut world, "0");
        settle(&mut world, RETURN_MS);
    }
}

#[test]
fn a_garbage_frame_is_counted_and_costs_no_account() {
    for venue in LIST.iter() {
        let mut world = up(venue);
        let conn = world.gateway.upstreams[0].conn;
        world.inject(0, &Item::Text("\u{7}{[garbage:::".into()));
        world.inject(0, &Item::Binary);
        pass(&mut world, 500);
        settle(&mut world, RETURN_MS);
        assert_eq!(world.gateway.upstreams[0].conn, conn, "{} gave up its connection", venue.name);
        let metrics = world.gateway.metrics.render();
        let line = format!("balance_gateway_venue_decode_errors_total{{venue=\"{}\"}} 2", venue.name);
        assert!(metrics.contains(&line), "{}: {metrics}", venue.name);
    }
}

#[test]
fn wrong_credentials_end_in_a_reason_that_says_so() {
    use ReasonCode::{AuthUncertain, ClockSkew, MissingPermission, TokenExpired, WrongKey};
    for venue in LIST.iter() {
        let mut world = world(venue, 0);
        let mut secrets = (venue.sample)().account.credentials;
        if secrets.is_empty() {
            // Nothing to be wrong: the stream is public.
            settle(&mut world, CONNECT_MS);
            continue;
        }
        secrets.values_mut().for_each(|secret| secret.push('x'));
        world.rekey(0, &secrets);
        pass(&mut world, 60_000);
        let (state, reason) = state(&world);
        assert!(!state.is_proven(), "{}", venue.name);
        let told =
            reason.is_some_and(|code| [WrongKey, AuthUncertain, TokenExpired, ClockSkew, MissingPermission].contains(&code));
        assert!(told, "{}: {state:?}, {reason:?}", venue.name);
        assert!(world.sides[0].dials.len() <= 6, "{} knocks {} times a minute", venue.name, world.sides[0].dials.len());
        pass(&mut world, 600_000);
        let hourly = world.sides[0].dials.len();
        assert!(hourly <= 12, "{} knocks {hourly} times in ten minutes", venue.name);
        world.rekey(0, &(venue.sample)().account.credentials);
        settle(&mut world, CONNECT_MS);
    }
}

#[test]
fn a_crash_loop_stays_within_the_connect_budget() {
    for venue in LIST.iter() {
        let owners = vec![Vec::new(); 4];
        let wish = VenueWish { venue, options: BTreeMap::new(), owners, pace_ms: 0 };
        let mut world = World::new(3, &[wish], Vec::new(), knows);
        for _ in 0..400 {
            pass(&mut world, 250);
            world.cut(0);
        }
        let (dials, window) = (&world.sides[0].dials, venue.limits.connects);
        assert!(dials.len() > window.count.min(20), "{} dialed {} times only", venue.name, dials.len());
        for (nth, first) in dials.iter().enumerate() {
            // A dial reaches the venue after its latency; that of two dials differs.
            let within = dials[nth..].iter().take_while(|at| at.since_ms(*first) + 100 < window.per_ms).count();
            assert!(within <= window.count, "{}: {within} connections within {} ms", venue.name, window.per_ms);
        }
        settle(&mut world, RETURN_MS);
    }
}

#[test]
fn a_long_life_stays_within_its_bounds() {
    for venue in LIST.iter() {
        let mut world = world(venue, 150);
        pass(&mut world, 240_000); // rows, orders and writes are checked at every step
        world.sides[0].pace_ms = 0;
        assert!(world.stats.moves > 1_000, "{}: {} moves", venue.name, world.stats.moves);
        settle(&mut world, RETURN_MS);
    }
}

/// The daemon itself, over sockets, from a configuration file that a simulator of the toy bank wrote: no line of it knows the bank.
#[tokio::test]
async fn the_daemon_serves_a_venue_that_it_has_never_heard_of() {
    use balance_gateway::app::App;
    use balance_gateway::config::Config;

    let fleet = Fleet::start(&LIST, FleetOptions { rate_hz: 0.0, ..FleetOptions::default() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let mut text = String::from("[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n");
    text += "[[access.keys]]\nalgorithm = \"HS256\"\nsecret = \"a secret of these worlds, long enough for its algorithm\"\n";
    fleet.gateway_accounts().iter().for_each(|account| text += &account.to_toml("alice"));
    std::fs::write(&file, text).unwrap();
    let config = Config::load_with(Some(&file), [], &LIST).unwrap();
    let app = App::bind(config).await.unwrap();
    let (address, stop) = (app.addr(), app.stop_token());
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = balance_gateway::model::Now { mono: Mono(0), unix: balance_gateway::model::UnixMs(unix.as_millis() as i64) };
    let token = crate::world::gateway::token("alice", None, now, 3_600_000);
    let ask = async {
        let url = format!("http://{address}/v1/balances?venues=toy");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let reply = client.get(&url).bearer_auth(&token).send().await.unwrap().text().await.unwrap();
            let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
            if reply["complete"] == true || tokio::time::Instant::now() > deadline {
                stop.cancel();
                return reply;
            }
            tokio::task::yield_now().await;
        }
    };
    let (ended, reply) = tokio::join!(app.run(), ask);
    ended.unwrap();
    let rows = reply["balances"].as_array().unwrap();
    let gold = rows.iter().find(|row| row["asset"] == "GOLD").unwrap_or_else(|| panic!("{reply}"));
    assert_eq!((&gold["total"], &gold["state"]), (&"12.500".into(), &"live".into()));
    fleet.stop().await;
}

//! The controls over HTTP, and the fleet they are for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::toy::{Client, TOYS, rest, until};
use crate::sim::{Fleet, FleetOptions};

async fn fleet(rate_hz: f64) -> Fleet {
    let options = FleetOptions { control: Some(0), rate_hz, seed: 8, ..FleetOptions::default() };
    Fleet::start(TOYS, options).await.unwrap()
}

/// One request to the controls: status and answer.
async fn call(fleet: &Fleet, method: &str, path: &str, body: &str) -> (u16, Value) {
    let (status, text) = rest(method, &format!("http://{}{path}", fleet.control_addr().unwrap()), body).await;
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn index_names_routes_venues_and_accounts() {
    let fleet = fleet(0.0).await;
    let (status, index) = call(&fleet, "GET", "/", "").await;
    assert_eq!(status, 200);
    assert!(index["routes"]["POST /fault"].is_string());
    let listens = fleet.server("tic").unwrap().addr().to_string();
    let tic = json!({"venue":"tic","listens":listens,"accounts":["tic-main"],"connections":0,"rate_hz":0.0});
    assert_eq!(index["venues"][1], tic);
}

#[tokio::test]
async fn fault_reaches_one_venue_or_all() {
    let fleet = fleet(0.0).await;
    let (mut toy, mut tic) =
        (Client::open(fleet.server("toy").unwrap()).await, Client::open(fleet.server("tic").unwrap()).await);
    assert_eq!(call(&fleet, "POST", "/fault", r#"{"fault":"hiccup"}"#).await, (200, json!({"venues":["toy","tic"]})));
    assert_eq!((toy.text().await, tic.text().await), ("hiccup".into(), "hiccup".into()));
    let one = call(&fleet, "POST", "/fault?venue=tic", r#"{"fault":"disconnect"}"#).await;
    assert_eq!(one, (200, json!({"venues":["tic"]})));
    tic.assert_dropped().await;
    assert_eq!(toy.ask("still").await, "echo still");
}

#[tokio::test]
async fn faults_are_listed_with_what_they_do() {
    let fleet = fleet(0.0).await;
    let (status, faults) = call(&fleet, "GET", "/faults?venue=toy", "").await;
    assert_eq!((status, &faults["toy"]["hiccup"]), (200, &json!("says hiccup")));
    assert!(faults["toy"]["delay:<ms>"].is_string() && faults.get("tic").is_none());
}

#[tokio::test]
async fn venues_own_fault_goes_before_the_networks_and_heal_to_both() {
    let fleet = fleet(0.0).await;
    let tic = fleet.server("tic").unwrap();
    let mut client = Client::open(tic).await;
    tic.fault("garbage").unwrap();
    assert_eq!(client.text().await, "own garbage");
    let named =
        |name: &str| tic.faults().into_iter().filter(|(other, _)| *other == name).map(|(_, what)| what).collect::<Vec<_>>();
    assert_eq!((named("garbage"), named("heal")), (vec!["says its own garbage"], vec!["says healed"]));
    tic.fault("refuse").unwrap();
    tic.fault("heal").unwrap();
    assert_eq!(client.text().await, "healed");
    Client::open(tic).await;
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_what_can() {
    let fleet = fleet(0.0).await;
    let deposit = r#"{"move":"deposit","account":"nobody","wallet":"w","asset":"a","amount":"1"}"#;
    let cases = [
        ("POST", "/fault", r#"{"fault":"earthquake"}"#, "unknown fault", "half_open"),
        ("POST", "/fault?venue=none", r#"{"fault":"heal"}"#, "no such venue is simulated", "tic"),
        ("GET", "/book/nobody", "", "no such account is simulated", "toy-main"),
        ("POST", "/move", deposit, "no such account is simulated", "tic-main"),
    ];
    for (method, path, body, message, allowed) in cases {
        let (status, answer) = call(&fleet, method, path, body).await;
        assert_eq!((status, answer["error"]["message"].as_str()), (400, Some(message)), "{path}");
        assert!(answer["error"]["allowed"].as_array().unwrap().contains(&json!(allowed)), "{path}");
    }
    let said = [
        ("/fault", r#"{"fault":"delay"}"#, "delay:500"),
        ("/fault", "delay", "expected"),
        ("/market", r#"{"rate_hz":-1}"#, "from 0 to 10000"),
        ("/move", r#"{"move":"steal"}"#, "`deposit`"),
        ("/move", r#"{"move":"deposit","account":"a"}"#, "wallet"),
    ];
    for (path, body, part) in said {
        let (status, answer) = call(&fleet, "POST", path, body).await;
        assert_eq!(status, 400);
        assert!(answer["error"]["message"].as_str().unwrap().contains(part), "{path} {answer}");
    }
    assert_eq!(call(&fleet, "GET", "/nothing", "").await.0, 404);
    assert_eq!(call(&fleet, "GET", "/fault", "").await.0, 405);
}

#[tokio::test]
async fn movement_over_http_is_told_and_booked_to_the_last_digit() {
    let fleet = fleet(0.0).await;
    let mut client = Client::open(fleet.server("tic").unwrap()).await;
    let body = r#"{"move":"deposit","account":"tic-main","wallet":"spot","asset":"BTC","amount":"0.000000000000000001"}"#;
    assert_eq!(call(&fleet, "POST", "/move", body).await, (200, json!({"venues":["tic"]})));
    assert_eq!(client.text().await, "spot BTC 2.500000000000000001");
    let order = r#"{"move":"place","account":"tic-main","wallet":"spot","order":"7","spend":"USD","amount":"89999.99"}"#;
    assert_eq!(call(&fleet, "POST", "/move", order).await.0, 200);
    let rows = json!([
        {"wallet":"spot","asset":"BTC","available":"2.500000000000000001","locked":"0","total":"2.500000000000000001"},
        {"wallet":"spot","asset":"USD","available":"0.01","locked":"89999.99","total":"90000.00"},
    ]);
    assert_eq!(call(&fleet, "GET", "/book/tic-main", "").await, (200, rows));
    let (status, answer) = call(&fleet, "POST", "/move", order).await;
    assert_eq!((status, &answer["error"]["message"]), (400, &json!("spot USD does not hold that much")));
}

#[tokio::test]
async fn fleet_lives_and_its_pace_can_be_changed() {
    let fleet = fleet(500.0).await;
    for server in fleet.servers() {
        let account = &server.accounts()[0];
        let before = server.book(account);
        until(|| server.book(account) != before).await;
    }
    let halted = call(&fleet, "POST", "/market", r#"{"rate_hz":0}"#).await;
    assert_eq!(halted, (200, json!({"venues":["toy","tic"],"rate_hz":0.0})));
    assert!(fleet.servers().iter().all(|server| server.rate_hz() == 0.0));
    fleet.stop().await;
    assert_eq!(fleet.failure(), None);
}

#[tokio::test]
async fn gateway_block_is_valid_toml_with_every_field() {
    let fleet = fleet(0.0).await;
    let accounts = fleet.gateway_accounts();
    assert_eq!(accounts.iter().map(|account| account.venue).collect::<Vec<_>>(), ["toy", "tic"]);
    let addr = fleet.server("toy").unwrap().addr();
    let block: toml::Table = accounts[0].to_toml("alice").parse().unwrap();
    let expected = json!({"accounts":[{
        "id":"toy-main", "venue":"toy", "owners":["alice"],
        "ws_url":format!("ws://{addr}/ws"), "rest_url":format!("http://{addr}/api"),
        "credentials":{"api_key":"k\"1"},
        "wallets":[{"address":"0xab"},{"address":"7x","assets":["USDC","2174"]}],
    }]});
    assert_eq!(serde_json::to_value(block).unwrap(), expected);
}

#[tokio::test]
async fn fleet_says_which_port_cannot_be_had() {
    let error = |name: &str, port| {
        let options = FleetOptions { ports: BTreeMap::from([(name.to_owned(), port)]), ..FleetOptions::default() };
        async { Fleet::start(TOYS, options).await.err().unwrap().to_string() }
    };
    assert_eq!(error("nasdaq", 0).await, "no venue \"nasdaq\"; there are toy, tic");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    assert!(error("tic", addr.port()).await.starts_with(&format!("tic cannot listen on {addr}: ")));
}

#[tokio::test]
async fn dropped_fleet_lets_go_of_its_ports() {
    let fleet = fleet(5.0).await;
    let addrs: Vec<_> = fleet.servers().iter().map(|server| server.addr()).chain(fleet.control_addr()).collect();
    drop(fleet);
    until(|| addrs.iter().all(|addr| std::net::TcpListener::bind(addr).is_ok())).await;
}

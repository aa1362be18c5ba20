//! Requests and their answers.

use super::*;

#[test]
fn a_plain_subscribe_is_complete_and_gets_everything() {
    let mut c = Client::alice();
    let said = c.say(r#"{"type":"subscribe","id":2,"channel":"user:balances"}"#);
    assert_eq!(kinds(&said), ["subscribed", "snapshot"]);
    let gsn = c.b.store.gsn();
    assert_eq!(
        (said[0]["id"].as_u64(), said[0]["gsn"].as_u64(), said[0]["resumed"].as_bool()),
        (Some(2), Some(gsn), Some(false))
    );
    assert_eq!(
        (said[1]["reason"].as_str(), said[1]["prev"].as_u64(), said[1]["gsn"].as_u64()),
        (Some("subscribe"), Some(0), Some(gsn))
    );
    assert_eq!(said[0]["epoch"], said[1]["epoch"]);
    assert_eq!((rows(&said[1]), said[1]["complete"].as_bool()), (vec!["BTC 1".into(), "USD 5".into()], Some(true)));
    assert_eq!(said[1]["accounts"].as_array().map(Vec::len), Some(1), "bob's account is not there");
}

#[test]
fn updates_follow_without_a_gap() {
    let mut c = Client::subscribed();
    let at = c.b.store.gsn();
    assert_eq!(c.wake(), Vec::<Value>::new());
    c.push(&["BTC 2/2/0"]);
    let first = c.wake();
    assert_eq!(
        (first[0]["prev"].as_u64(), first[0]["gsn"].as_u64(), rows(&first[0])),
        (Some(at), Some(at + 1), vec!["BTC 2".into()])
    );
    c.b.store.connecting(c.other, c.b.now);
    assert!(c.wake().is_empty(), "another user's account is no news here");
    c.push(&["USD 6/6/0", "ETH 1/1/0"]);
    let second = c.wake();
    assert_eq!((second[0]["prev"].as_u64(), second[0]["gsn"].as_u64()), (Some(at + 1), Some(at + 3)));
    assert_eq!(rows(&second[0]), ["USD 6", "ETH 1"], "one venue message, one frame");
}

#[test]
fn nothing_is_told_before_the_token_but_ping_is_answered() {
    let mut c = Client::new();
    for text in [
        r#"{"type":"subscribe","id":1,"channel":"user:balances"}"#,
        r#"{"type":"unsubscribe","id":1,"channel":"user:balances"}"#,
        r#"{"type":"resync","id":1,"channel":"user:orders"}"#,
    ] {
        let said = c.say(text);
        assert_eq!(
            (said[0]["code"].as_str(), said[0]["retry"].as_str()),
            (Some("NOT_AUTHENTICATED"), Some("reauth")),
            "{text}"
        );
        assert_eq!(said[0]["id"].as_u64(), Some(1));
    }
    assert_eq!(kinds(&c.say(r#"{"type":"ping","id":"p"}"#)), ["pong"]);
    assert!(c.say(r#"{"type":"pong"}"#).is_empty());
    assert_eq!(c.closed(), None);
}

#[test]
fn bad_requests_are_told_apart_and_never_close() {
    let mut c = Client::subscribed();
    for (text, code) in [
        ("", "BAD_JSON"),
        ("[1]", "BAD_JSON"),
        (r#"{"type":"#, "BAD_JSON"),
        (r#"{"id":1}"#, "BAD_REQUEST"),
        (r#"{"type":"buy"}"#, "UNKNOWN_TYPE"),
        (r#"{"type":"subscribe","channel":"user:x"}"#, "UNKNOWN_CHANNEL"),
        (r#"{"type":"subscribe","channel":"user:balances","filter":{"assets":[]}}"#, "BAD_FILTER"),
        (r#"{"type":"unsubscribe","channel":"user:orders"}"#, "NOT_SUBSCRIBED"),
        (r#"{"type":"resync","channel":"user:orders"}"#, "NOT_SUBSCRIBED"),
    ] {
        let said = c.say(text);
        assert_eq!((kinds(&said), said[0]["code"].as_str()), (vec!["error"], Some(code)), "{text}");
    }
    c.push(&["BTC 2/2/0"]);
    assert_eq!((kinds(&c.wake()), c.closed()), (vec!["update"], None), "the subscription stands");
}

#[test]
fn resync_gives_a_snapshot_and_updates_go_on_from_it() {
    let mut c = Client::subscribed();
    c.push(&["BTC 2/2/0"]);
    let said = c.say(r#"{"type":"resync","channel":"user:balances"}"#);
    assert_eq!(
        (kinds(&said), said[0]["reason"].as_str(), rows(&said[0])[0].as_str()),
        (vec!["snapshot"], Some("resync"), "BTC 2")
    );
    assert!(c.wake().is_empty(), "it is in already");
    c.push(&["BTC 3/3/0"]);
    assert_eq!(c.wake()[0]["prev"], said[0]["gsn"]);
}

#[test]
fn resume_from_a_known_point_gives_only_what_changed() {
    let mut c = Client::subscribed();
    let said = c.say(r#"{"type":"resync","channel":"user:balances"}"#);
    let (epoch, gsn) = (said[0]["epoch"].as_str().unwrap().to_owned(), said[0]["gsn"].as_u64().unwrap());
    c.push(&["BTC 2/2/0"]);
    c.session = ClientSession::new(Arc::clone(&c.deps), c.b.now);
    c.auth("alice", None, 600_000);
    let resume = |filter: &str| {
        format!(r#"{{"type":"subscribe","channel":"user:balances","since":{{"epoch":"{epoch}","gsn":{gsn}}}{filter}}}"#)
    };
    let said = c.say(&resume(""));
    assert_eq!((kinds(&said), said[0]["resumed"].as_bool()), (vec!["subscribed", "update"], Some(true)));
    assert_eq!(c.out.read_at, None, "how long the client was away is no delivery's time");
    assert_eq!((said[1]["prev"].as_u64(), rows(&said[1]), &said[1]["gsn"]), (Some(gsn), vec!["BTC 2".into()], &said[0]["gsn"]));
    let said = c.say(&resume(r#","filter":{"nonzero":true}"#));
    assert_eq!((kinds(&said), said[0]["resumed"].as_bool()), (vec!["subscribed", "snapshot"], Some(false)), "another filter");
}

#[test]
fn subscribing_again_replaces_and_unsubscribing_ends() {
    let mut c = Client::subscribed();
    let said = c.say(r#"{"type":"subscribe","channel":"user:balances","filter":{"assets":["USD"]}}"#);
    assert_eq!((kinds(&said), rows(&said[1])), (vec!["subscribed", "snapshot"], vec!["USD 5".into()]));
    c.push(&["BTC 2/2/0"]);
    assert!(c.wake().is_empty());
    let gauge = |c: &Client| c.deps.metrics.render().contains(r#"client_subscriptions{channel="user:balances"} 1"#);
    assert!(gauge(&c), "one, however often it is replaced");
    let said = c.say(r#"{"type":"unsubscribe","id":"u","channel":"user:balances"}"#);
    assert_eq!((kinds(&said), said[0]["id"].as_str()), (vec!["unsubscribed"], Some("u")));
    c.push(&["USD 9/9/0"]);
    assert!(c.wake().is_empty() && !gauge(&c));
}

#[test]
fn a_dropped_session_gives_its_subscriptions_back() {
    let mut c = Client::subscribed();
    c.say(r#"{"type":"subscribe","channel":"user:orders"}"#);
    c.session = ClientSession::new(Arc::clone(&c.deps), c.b.now);
    let text = c.deps.metrics.render();
    assert!(!text.contains("client_subscriptions{channel=\"user:balances\"} 1") && !text.contains("user:orders\"} 1"));
}

#[test]
fn both_channels_live_side_by_side() {
    let mut c = Client::subscribed();
    let said = c.say(r#"{"type":"subscribe","channel":"user:orders"}"#);
    assert_eq!((kinds(&said), said[1]["orders"].as_array().map(Vec::len)), (vec!["subscribed", "snapshot"], Some(0)));
    c.push(&["BTC 2/2/0"]);
    let said = c.wake();
    assert_eq!((kinds(&said), said[0]["channel"].as_str()), (vec!["update"], Some("user:balances")));
    c.b.lose(crate::model::AccountState::Stale);
    let said = c.wake();
    assert_eq!(kinds(&said), ["update", "update"], "an account's state is told on every channel");
}

#[test]
fn nonzero_tells_once_that_a_row_became_zero() {
    let mut c = Client::alice();
    c.push(&["DUST 0/0/0"]);
    let said = c.say(r#"{"type":"subscribe","channel":"user:balances","filter":{"nonzero":true}}"#);
    assert_eq!(rows(&said[1]), ["BTC 1", "USD 5"]);
    c.push(&["BTC 0/0/0"]);
    assert_eq!(rows(&c.wake()[0]), ["BTC 0"]);
    c.b.lose(crate::model::AccountState::Stale);
    assert_eq!(rows(&c.wake()[0]), ["USD 5"]);
}

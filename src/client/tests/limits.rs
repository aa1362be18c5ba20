//! How much is too much.

use super::*;

#[test]
fn a_bucket_gives_its_burst_and_then_its_rate() {
    let now = |ms: u64| Now::default().plus_ms(ms).mono;
    let mut bucket = Bucket::new(20, 5, now(0));
    assert_eq!((0..8).filter(|_| bucket.take(now(0))).count(), 5);
    assert!(!bucket.take(now(49)) && bucket.take(now(99)) && !bucket.take(now(99)));
    assert_eq!((0..50).filter(|_| bucket.take(now(1_000_000))).count(), 5, "a long pause saves up no more than the burst");
}

#[test]
fn a_bucket_asked_very_often_still_fills() {
    let mut bucket = Bucket::new(20, 1, Now::default().mono);
    let micros = (0..1_000_000).step_by(100).map(crate::model::Mono);
    let taken = micros.filter(|at| bucket.take(*at)).count();
    assert!((20..=21).contains(&taken), "{taken}");
}

#[test]
fn too_many_requests_are_refused_and_then_taken_again() {
    let mut c = Client::subscribed();
    let mut said = Vec::new();
    for _ in 0..150 {
        said.extend(c.say(r#"{"type":"ping","id":9}"#));
    }
    let refused: Vec<_> = said.iter().filter(|f| f["type"] == "error").collect();
    assert_eq!(refused.len(), 52, "the burst less the token and the subscribe");
    assert_eq!((refused[0]["code"].as_str(), refused[0]["retry"].as_str()), (Some("RATE_LIMITED"), Some("backoff")));
    assert_eq!(refused[0]["id"].as_u64(), Some(9));
    c.b.pass(1_000);
    assert_eq!((kinds(&c.say(r#"{"type":"ping"}"#)), c.closed()), (vec!["pong"], None));
}

#[test]
fn a_client_that_does_not_listen_to_refusals_is_closed() {
    let mut c = Client::alice();
    let mut said = 0;
    while c.closed().is_none() {
        said += c.say(r#"{"type":"ping"}"#).len();
        assert!(said < 1_000);
    }
    assert_eq!(c.closed(), Some(CloseCode::RateLimited));
}

#[test]
fn pings_are_bounded_as_requests_are() {
    let mut c = Client::subscribed();
    let answered = (0..290).filter(|_| c.session.on_control(c.b.now, &mut c.out)).count();
    assert_eq!((answered, c.closed()), (98, None), "the burst less the token and the subscribe");
    c.b.pass(1_000);
    assert!(c.session.on_control(c.b.now, &mut c.out), "and then again");
    while c.closed().is_none() {
        c.session.on_control(c.b.now, &mut c.out);
    }
    assert_eq!(c.closed(), Some(CloseCode::RateLimited));
}

#[test]
fn reading_on_is_not_a_request() {
    let mut c = Client::subscribed();
    for n in 1..500 {
        c.push(&[&format!("BTC {n}/{n}/0")]);
        c.wake();
        c.session.on_heard(c.b.now);
    }
    assert_eq!(kinds(&c.say(r#"{"type":"ping"}"#)), ["pong"]);
}

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
fn refusals_are_forgotten_only_after_a_pause_that_earns_a_whole_burst() {
    let mut c = Client::alice();
    let mut refused = 0;
    // Always a little too fast: what is taken now and then makes nothing undone.
    while c.closed().is_none() {
        c.b.pass(20);
        let said = c.say(r#"{"type":"ping"}"#);
        refused += said.iter().filter(|f| f["type"] == "error").count();
        assert!(refused < 500);
    }
    assert_eq!((c.closed(), refused), (Some(CloseCode::RateLimited), 100));

    let mut c = Client::alice();
    for _ in 0..5 {
        for _ in 0..150 {
            c.say(r#"{"type":"ping"}"#);
        }
        c.b.pass(5_000);
    }
    assert_eq!(c.closed(), None);
}

#[test]
fn a_refused_client_is_left_unread_for_a_moment() {
    let mut c = Client::alice();
    let rests = (0..150).filter(|_| {
        let mut out = ClientOut::default();
        c.session.on_text(c.b.now, r#"{"type":"ping"}"#, &mut out);
        out.rest
    });
    assert_eq!(rests.count(), 51, "as often as it is refused");
}

#[test]
fn protocol_pings_and_pongs_are_requests_too() {
    let mut c = Client::alice();
    let mut answered = 0;
    let mut out = ClientOut::default();
    while out.close.is_none() {
        answered += usize::from(c.session.on_control(c.b.now, &mut out));
        assert!(answered < 1_000);
    }
    assert_eq!((answered, out.close.map(|(code, _)| code)), (99, Some(CloseCode::RateLimited)));
}

#[test]
fn a_stranger_has_few_requests_and_no_answer_beyond() {
    let mut c = Client::new();
    let mut said = Vec::new();
    for _ in 0..40 {
        said.extend(c.say(r#"{"type":"subscribe","channel":"user:balances"}"#));
        if c.closed().is_some() {
            break;
        }
    }
    assert_eq!((said.len(), c.closed()), (16, Some(CloseCode::RateLimited)));
    assert!(said.iter().all(|f| f["code"] == "NOT_AUTHENTICATED"));
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

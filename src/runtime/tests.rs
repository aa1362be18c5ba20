//! Tests of the runtime. The one panic on purpose per test prints a backtrace line; that is what it looks like.

use futures_util::FutureExt;

use super::*;
use crate::model::Mono;

#[test]
fn backoff_doubles_up_to_its_bound_and_resets() {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut backoff = Backoff::new(100, 1_000);
    for ceiling in [100, 200, 400, 800, 1_000, 1_000, 1_000] {
        let delay = backoff.next(&mut rng);
        assert!((ceiling / 2..=ceiling).contains(&delay), "{delay} for {ceiling}");
    }
    backoff.reset();
    assert!(backoff.next(&mut rng) <= 100);
}

#[test]
fn backoff_spreads_over_the_upper_half() {
    let mut rng = fastrand::Rng::with_seed(1);
    let draws: Vec<u64> = (0..2_000).map(|_| Backoff::new(1_000, 1_000).next(&mut rng)).collect();
    assert!(draws.iter().min() < Some(&510) && draws.iter().max() > Some(&990));
    assert!(draws.iter().all(|delay| (500..=1_000).contains(delay)));
}

#[test]
fn backoff_survives_senseless_bounds() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut backoff = Backoff::new(0, 0);
    assert_eq!([backoff.next(&mut rng), backoff.next(&mut rng)], [1, 1]);
    let mut backoff = Backoff::new(u64::MAX / 2 + 1, u64::MAX);
    for _ in 0..3 {
        assert!(backoff.next(&mut rng) > u64::MAX / 4);
    }
}

#[tokio::test]
async fn clock_counts_from_its_start_and_never_waits_for_the_past() {
    let clock = Clock::start();
    let (first, second) = (clock.now(), clock.now());
    assert!(first.mono <= second.mono && first.unix.0 > 1_700_000_000_000);
    let (zero, later) = (clock.instant(Mono(0)).unwrap(), clock.instant(Mono(1_500_000)).unwrap());
    assert_eq!(later - zero, std::time::Duration::from_millis(1_500));
    clock.wait_until(Mono(0)).await;
    assert_eq!(clock.wait_until(Mono(u64::MAX)).now_or_never(), None);
}

#[tokio::test]
async fn fatal_task_that_ends_early_stops_the_group() {
    let tasks = Tasks::new();
    let stop = tasks.stop_token().clone();
    tasks.spawn("patient", Policy::Fatal, async move { stop.cancelled().await });
    tasks.spawn("short", Policy::Fatal, async {});
    tasks.stopping().await;
    tasks.wait().await;
    assert_eq!(tasks.failure(), Some(Failure { name: "short".into(), how: How::EndedEarly }));
    assert_eq!(tasks.failure().unwrap().to_string(), "task short ended early");
}

#[tokio::test]
async fn fatal_panic_stops_the_group_and_is_named() {
    let tasks = Tasks::new();
    tasks.spawn("core", Policy::Fatal, async { panic!("on purpose") });
    tasks.stopping().await;
    tasks.wait().await;
    assert_eq!((tasks.failure().unwrap().how, tasks.panics()), (How::Panicked, 1));
}

#[tokio::test]
async fn detached_panic_is_counted_and_the_rest_goes_on() {
    let tasks = Tasks::new();
    tasks.spawn("guest", Policy::Detached, async { panic!("on purpose") });
    tasks.wait().await;
    assert_eq!((tasks.failure(), tasks.panics(), tasks.is_stopping()), (None, 1, false));
}

#[tokio::test]
async fn asked_for_stop_is_no_failure_and_waits_for_holds() {
    let tasks = Tasks::new();
    let stop = tasks.stop_token().clone();
    tasks.spawn("core", Policy::Fatal, async move { stop.cancelled().await });
    let hold = tasks.hold();
    tasks.stop();
    assert_eq!(tasks.wait().now_or_never(), None);
    drop(hold);
    tasks.wait().await;
    assert_eq!((tasks.failure(), tasks.running()), (None, 0));
}

#[test]
fn crypto_installs_once_and_again() {
    install_crypto();
    install_crypto();
    assert!(rustls::crypto::CryptoProvider::get_default().is_some());
}

#[test]
fn the_end_of_a_certificate_is_read_and_of_other_files_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cert.pem");
    let key = rcgen::KeyPair::generate().unwrap();
    // Two forms of time: two digits of a year before 2050, four from then on.
    for (year, unix) in [(2_031, 1_927_843_200), (2_051, 2_558_995_200)] {
        let mut params = rcgen::CertificateParams::new(vec!["gateway.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 2, 3);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(&file, certificate.pem()).unwrap();
        assert_eq!(not_after(&file), Some(unix), "{year}");
    }
    std::fs::write(&file, "no certificate").unwrap();
    assert_eq!(not_after(&file), None);
    assert_eq!(not_after(&dir.path().join("nothing")), None);
}

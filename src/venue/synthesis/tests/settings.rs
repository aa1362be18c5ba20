//! Settings, credentials and refused handshakes.

use super::*;

#[test]
fn every_problem_is_told_at_once_with_its_key() {
    let found = problems(|spec| {
        let secrets = [("api_key", ""), ("jwt", "x"), ("session_token", "two words")];
        spec.credentials = Credentials::plain(secrets);
        spec.options = options_of(&[("livenes_ms", 1.into()), ("grace_ms", 0.into()), ("reconcile_ms", 5.into())]);
        let wallet = |address: &str, assets: Option<&[&str]>| WalletSpec {
            address: address.into(),
            assets: assets.map(|assets| assets.iter().map(|a| (*a).to_owned()).collect()),
        };
        spec.wallets = vec![
            wallet("0x742d35", None),
            wallet(FIRST, Some(&[])),
            wallet(&FIRST.to_lowercase(), Some(&["A", "A"])),
            wallet(&SOLANA.replace('7', "0"), Some(&[""])),
        ];
    });
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    let expected = [
        "options.grace_ms",
        "options.livenes_ms",
        "options.reconcile_ms",
        "credentials.api_key",
        "credentials.session_token",
        "credentials.jwt",
        "wallets[0].address",
        "wallets[1].assets",
        "wallets[2].address",
        "wallets[2].assets",
        "wallets[3].address",
        "wallets[3].assets",
    ];
    assert_eq!(keys, expected);
    assert!(found.iter().all(|(_, message)| !message.contains("two words")));
    assert_eq!(problems(|spec| spec.wallets.clear())[0].0, "wallets");
}

#[test]
fn the_same_solana_address_in_another_case_is_another_address() {
    let other = SOLANA.replace('K', "k");
    assert!(problems(|spec| spec.wallets[0].address.clone_from(&other)).is_empty());
}

#[test]
fn optional_credentials_travel_as_headers_and_a_wrong_one_is_refused() {
    let secrets = [("api_key", "sk_1"), ("project_key", "pk_1"), ("session_token", "t_1")];
    let connector = connected(|spec| spec.credentials = Credentials::plain(secrets));
    let headers = connector.handshake().headers;
    let expected = [("X-API-KEY", "sk_1"), ("X-PROJECT-API-KEY", "pk_1"), ("Authorization", "Bearer t_1")];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
    assert!(connected(|_| {}).handshake().headers.is_empty(), "the stream is public");

    let mut account = sample().account;
    account.credentials = secrets.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut sim = sim::SynthesisSim::new(SimSetup { accounts: vec![account], seed: 1 });
    for (key, status) in [("sk_1", None), ("sk_2", Some(401))] {
        let mut request = SimRequest { path: "/ws/balance".into(), ..SimRequest::default() };
        request.headers.insert("x-api-key".into(), key.into());
        let refused = sim.on_connect(Now::default(), crate::venue::sim::ConnId(1), &request, &mut SimOut::default());
        assert_eq!(refused.err().map(|reply| reply.status), status);
    }
}

#[test]
fn refused_handshakes_are_told_apart() {
    let with = |secrets: &[(&str, &str)]| connected(|spec| spec.credentials = Credentials::plain(secrets.iter().copied()));
    let code = |connector: &dyn Connector, status| connector.refused(status).map(|closing| closing.reason.code);
    assert_eq!(code(&*with(&[("api_key", "k")]), 401), Some(ReasonCode::WrongKey));
    assert_eq!(code(&*with(&[("session_token", "k")]), 401), Some(ReasonCode::TokenExpired));
    assert_eq!(code(&*with(&[]), 403), Some(ReasonCode::MissingPermission));
    assert!(with(&[]).refused(401).unwrap().reason.text.contains("api_key"));
    assert_eq!(code(&*with(&[]), 429), None);
    assert_eq!(code(&*with(&[]), 500), None);
}

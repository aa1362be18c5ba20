//! The shapes against what writes frames and what reads requests: both ways, for whatever may stand in them.

use std::sync::Arc;

use jsonschema::Validator;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::model;
use crate::model::{
    AccountKey, AccountRecord, AccountState, Amount, CauseKind, Changes, Channel, Facts, Fees, Mono, Now, Origin, Proof,
    Reason, ReasonCode, RowState, UnixMs,
};
use crate::protocol::{self, SnapshotHead, UpdateHead};

/// A validator of one type, or of any of several, with everything they refer to. `closed`: a field that is not described is wrong.
fn validator(references: &[Value], mut schemas: Map<String, Value>, closed: bool) -> Validator {
    for schema in schemas.values_mut().filter(|schema| closed && schema.get("properties").is_some()) {
        schema["additionalProperties"] = false.into();
    }
    let schema = json!({ "anyOf": references, "components": { "schemas": schemas } });
    jsonschema::draft202012::new(&schema).expect("a schema")
}

fn raw() -> impl Strategy<Value = Box<RawValue>> {
    let texts = [r#"{"a":1,"b":[1.50,"x",null]}"#, "{}", r#"{"deep":{"er":true}}"#];
    prop::sample::select(texts.to_vec()).prop_map(|text| RawValue::from_string(text.into()).expect("JSON"))
}

fn amount() -> impl Strategy<Value = Amount> {
    "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?".prop_map(|text| text.parse().expect("an amount"))
}

fn ts() -> impl Strategy<Value = UnixMs> {
    (-5_i64..4_000_000_000_000).prop_map(UnixMs)
}

fn origin() -> impl Strategy<Value = Origin> {
    prop::sample::select(vec![Origin::Reported, Origin::Derived, Origin::Absent])
}

fn row_state() -> impl Strategy<Value = RowState> {
    prop::sample::select(vec![RowState::Live, RowState::Stale, RowState::Pending])
}

fn extra() -> impl Strategy<Value = Option<model::Extra>> {
    option::of(".{0,8}").prop_map(|value| value.map(|value| Arc::from([("unsettled_interest", value.as_str().into())])))
}

fn key() -> AccountKey {
    AccountKey { venue: "toy", account: "toy-main".into() }
}

fn cause() -> impl Strategy<Value = model::Cause> {
    let kinds = [CauseKind::Trade, CauseKind::Deposit, CauseKind::Reconcile, CauseKind::Absent, CauseKind::Other];
    (prop::sample::select(kinds.to_vec()), option::of(".{0,8}"), option::of(raw()))
        .prop_map(|(kind, description, venue)| model::Cause { kind, description: description.map(Into::into), venue })
}

fn balance() -> impl Strategy<Value = model::Balance> {
    let numbers = (option::of(amount()), option::of(amount()), option::of(amount()), [origin(), origin(), origin()]);
    let times = (option::of(ts()), ts(), ts(), option::of((amount(), ts())));
    (numbers, times, row_state(), extra(), option::of(cause()), ".{1,8}", any::<u32>()).prop_map(
        |((total, available, locked, basis), (venue_ts, received_ts, changed_ts, last), state, extra, cause, name, gsn)| {
            model::Balance {
                key: Arc::new(key()),
                wallet: name.as_str().into(),
                asset: name.as_str().into(),
                total,
                available,
                locked,
                basis,
                state,
                gsn: gsn.into(),
                value_gsn: 0,
                venue_ts,
                received_ts,
                changed_ts,
                last_known: last.map(|(available, ts)| Box::new(model::LastKnown { available, ts })),
                cause: cause.map(Arc::new),
                extra,
            }
        },
    )
}

fn order() -> impl Strategy<Value = model::Order> {
    (option::of(amount()), any::<bool>(), row_state(), extra(), ".{1,8}", ts()).prop_map(
        |(filled, is_final, state, extra, name, ts)| model::Order {
            key: Arc::new(key()),
            order_id: name.as_str().into(),
            asset: name.as_str().into(),
            filled,
            status: name.as_str().into(),
            is_final,
            state,
            gsn: 7,
            received_ts: ts,
            changed_ts: ts,
            extra,
        },
    )
}

fn record() -> impl Strategy<Value = AccountRecord> {
    let states = prop::sample::select(AccountState::ALL.to_vec());
    let facts = (option::of((amount(), amount())), option::of(raw()), option::of(raw()), option::of(vec(".{0,8}", 0..3)));
    (states, facts, option::of(".{0,8}"), [0_u64..3, 0..3, 0..3], option::of(ts()), option::of(ts())).prop_map(
        |(state, (fees, stats, permissions, warnings), reason, counts, last_confirmed, proven)| {
            let proof = Proof::default();
            proven.into_iter().for_each(|unix| proof.give(Now { mono: Mono(1), unix }));
            AccountRecord {
                key: key(),
                state,
                since: UnixMs(5),
                reason: reason.map(|text| Reason::new(ReasonCode::Starting, text)),
                facts: Facts { fees: fees.map(|(maker, taker)| Fees { maker, taker }), stats, permissions, warnings },
                drift_count: counts[0],
                reconnect_count: counts[1],
                resync_count: counts[2],
                last_confirmed,
                proof: Arc::new(proof),
                gsn: 3,
            }
        },
    )
}

fn changes() -> impl Strategy<Value = Changes> {
    (vec(record(), 0..3), vec(balance(), 0..3), vec(order(), 0..3), any::<bool>()).prop_map(
        |(accounts, balances, orders, complete)| Changes {
            cut: 9,
            complete,
            accounts: accounts.into_iter().map(Arc::new).collect(),
            balances: balances.into_iter().map(Arc::new).collect(),
            orders: orders.into_iter().map(Arc::new).collect(),
            ..Changes::default()
        },
    )
}

/// What was written says exactly what its shape can hold, and is valid by the closed schema of the shape.
fn holds<T: DeserializeOwned + Serialize + JsonSchema>(text: &str) -> Result<(), TestCaseError> {
    let written: Value = serde_json::from_str(text).expect("JSON");
    let read: T = serde_json::from_str(text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
    prop_assert_eq!(serde_json::to_value(&read).expect("it serializes"), written.clone());
    let mut schemas = Schemas::sent();
    let reference = schemas.add::<T>();
    let valid = validator(&[reference], schemas.finish(), true);
    let wrong: Vec<_> = valid.iter_errors(&written).map(|error| format!("{} at {}", error, error.instance_path())).collect();
    prop_assert!(wrong.is_empty(), "{}: {}", wrong.join("; "), text);
    Ok(())
}

fn only(channel: Channel, mut changes: Changes) -> Changes {
    match channel {
        Channel::Balances => changes.orders.clear(),
        Channel::Orders => changes.balances.clear(),
    }
    changes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_by_hand_has_the_shape_that_the_contract_tells(changes in changes()) {
        for channel in Channel::ALL {
            let changes = only(channel, Changes {
                accounts: changes.accounts.clone(), balances: changes.balances.clone(), orders: changes.orders.clone(), ..changes
            });
            let head = SnapshotHead { channel, reason: "grant", epoch: "e", ts: UnixMs(4) };
            let snapshot = protocol::snapshot_whole(&head, &changes);
            let update = protocol::update(&UpdateHead { channel, epoch: "e", prev: 3, ts: UnixMs(4) }, &changes);
            match channel {
                Channel::Balances => {
                    holds::<BalancesSnapshot>(&snapshot)?;
                    holds::<BalancesUpdate>(update.text())?;
                    holds::<AccountsAnswer>(&protocol::listing("e", UnixMs(4), "accounts", &changes))?;
                }
                Channel::Orders => {
                    holds::<OrdersSnapshot>(&snapshot)?;
                    holds::<OrdersUpdate>(update.text())?;
                    holds::<OrdersAnswer>(&protocol::listing("e", UnixMs(4), "orders", &changes))?;
                }
            }
        }
    }
}

#[test]
fn a_snapshot_in_parts_has_the_shape_of_one() {
    let row = model::Balance {
        key: Arc::new(key()),
        wallet: "w".repeat(40 << 10).as_str().into(),
        asset: "BTC".into(),
        total: None,
        available: None,
        locked: None,
        basis: Default::default(),
        state: RowState::Live,
        gsn: 1,
        value_gsn: 1,
        venue_ts: None,
        received_ts: UnixMs(1),
        changed_ts: UnixMs(1),
        last_known: None,
        cause: None,
        extra: None,
    };
    let changes = Changes { balances: vec![Arc::new(row.clone()), Arc::new(row)], ..Changes::default() };
    for reason in ["subscribe", "resync", "grant", "bulk", "request"] {
        let head = SnapshotHead { channel: Channel::Balances, reason, epoch: "e", ts: UnixMs(4) };
        let parts = protocol::snapshot(&head, &changes);
        assert_eq!(parts.len(), 2);
        parts.iter().for_each(|part| holds::<BalancesSnapshot>(part.text()).expect(reason));
    }
}

fn requests() -> Validator {
    let mut schemas = Schemas::asked();
    let references = [
        schemas.add::<AuthTokenRequest>(),
        schemas.add::<SubscribeRequest>(),
        schemas.add::<UnsubscribeRequest>(),
        schemas.add::<ResyncRequest>(),
        schemas.add::<PingRequest>(),
        schemas.add::<PongRequest>(),
    ];
    validator(&references, schemas.finish(), false)
}

/// One value too few, just enough, just too many, of another type, `null`.
fn filters() -> Vec<Value> {
    let lists = [
        json!([]),
        json!(["a"]),
        json!(vec!["a"; 500]),
        json!(vec!["a"; 501]),
        json!(["ü".repeat(128)]),
        json!(["ü".repeat(129)]),
        json!([1]),
        json!("a"),
        Value::Null,
    ];
    let named = ["venues", "accounts", "assets", "shiny"].into_iter();
    let mut filters: Vec<_> = named.flat_map(|name| lists.clone().map(|list| json!({ name: list }))).collect();
    filters.extend([true.into(), Value::Null, json!({}), json!([]), json!([["a"], ["a"], ["a"], true])]);
    filters.extend([json!(true), json!(false), Value::Null, json!("true"), json!(1)].map(|on| json!({ "nonzero": on })));
    filters
}

#[test]
fn the_contract_admits_the_requests_that_the_gateway_takes_and_no_others() {
    let field = |name: &'static str, values: Vec<Value>| values.into_iter().map(move |value| (name, value));
    let fields = field("id", vec![json!("x"), json!(7), json!(-7), Value::Null, json!(1.5), json!([]), json!("x".repeat(127))])
        .chain(field("token", vec![json!("t"), json!(7), Value::Null]))
        .chain(field("channel", vec![json!("user:balances"), json!("user:orders"), json!("user:"), json!(1), Value::Null]))
        .chain(field("max_rate_hz", vec![json!(0.001), json!(1000), json!(10), json!(0), json!(1001), json!("1"), Value::Null]))
        .chain(field(
            "since",
            vec![
                json!({"epoch": "e", "gsn": 0}),
                json!({"epoch": "e", "gsn": 7, "shiny": 1}),
                json!({"epoch": "e", "gsn": -1}),
                json!({"epoch": "e"}),
                json!({"gsn": 1}),
                json!({"epoch": 1, "gsn": 1}),
                json!({}),
                json!("e:1"),
                json!(["e", 7]),
                Value::Null,
            ],
        ))
        .chain(field("filter", filters()))
        .chain(field("shiny", vec![json!(1)]))
        .chain([("type", json!("ping")), ("type", json!("nothing")), ("type", json!(1)), ("type", Value::Null)]);
    let fields: Vec<_> = fields.collect();
    let valid = requests();
    let kinds = ["auth_token", "subscribe", "unsubscribe", "resync", "ping", "pong"];
    let (mut taken, mut refused) = (0, 0);
    for kind in kinds {
        let plain = match kind {
            "auth_token" => json!({ "type": kind, "token": "t" }),
            "ping" | "pong" => json!({ "type": kind }),
            _ => json!({ "type": kind, "channel": "user:orders" }),
        };
        let least = plain.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        let mut cases = vec![plain.clone()];
        for (name, value) in &fields {
            // A field of another request is nobody's business, whatever it holds.
            let own = match *name {
                "token" => kind == "auth_token",
                "channel" => matches!(kind, "subscribe" | "unsubscribe" | "resync"),
                "max_rate_hz" | "since" | "filter" => kind == "subscribe",
                _ => true,
            };
            let mut case = plain.clone();
            case[*name] = value.clone();
            cases.extend(own.then_some(case));
        }
        for name in &least {
            let mut case = plain.clone();
            case.as_object_mut().expect("an object").remove(name);
            cases.push(case);
        }
        for case in cases {
            let read = protocol::parse(&case.to_string());
            assert_eq!(valid.is_valid(&case), read.is_ok(), "{case}: {read:?}");
            *(if read.is_ok() { &mut taken } else { &mut refused }) += 1;
        }
    }
    assert!(taken > 30 && refused > 60, "{taken} and {refused}");
}

#[test]
fn a_field_of_a_frame_is_missing_or_null_and_never_either() {
    let mut schemas = Schemas::sent();
    schemas.add::<BalancesSnapshot>();
    schemas.add::<OrdersUpdate>();
    schemas.add::<ErrorFrame>();
    let schemas = schemas.finish();
    let row = &schemas["Balance"];
    assert!(
        row["required"].as_array().expect("a list").contains(&json!("total")) && row["properties"]["total"]["anyOf"].is_array()
    );
    let text = row["properties"]["cause"].to_string();
    assert!(!row["required"].as_array().expect("a list").contains(&json!("cause")) && !text.contains("null"), "{text}");
    let reconnects = &schemas["Account"]["properties"]["reconnect_count"];
    assert_eq!((&reconnects["type"], reconnects.get("format")), (&json!("integer"), None));
}

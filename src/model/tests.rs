//! Amounts keep every digit, whatever text a venue sends.

use proptest::prelude::*;

use super::*;

fn plain(text: &str) -> String {
    text.parse::<Amount>().map_or_else(|e| format!("error: {e}"), |a| a.to_string())
}

#[test]
fn amounts_keep_every_digit_in_plain_notation() {
    let cases = [
        ("1.61169184", "1.61169184"),
        ("1.10", "1.10"),
        ("0.000", "0.000"),
        ("420690000000000.123456789012345678", "420690000000000.123456789012345678"),
        ("7.9228162514264337593543950336", "7.9228162514264337593543950336"),
        ("0.000000000000000000000000000001", "0.000000000000000000000000000001"),
        (
            "48572956138472615938471625938471659384716593847165938471659384716593847165938",
            "48572956138472615938471625938471659384716593847165938471659384716593847165938",
        ),
        ("1e-8", "0.00000001"),
        ("-1e-08", "-0.00000001"),
        ("5.7e-07", "0.00000057"),
        ("1.5e3", "1500"),
        ("1E+30", "1000000000000000000000000000000"),
        ("12.34e1", "123.4"),
        ("1.50e1", "15.0"),
        ("420690000000000.123456789012345678e0", "420690000000000.123456789012345678"),
        ("-0", "0"),
        ("-0.00", "0.00"),
        ("0e5", "0"),
        ("0e999999999999", "0"),
        ("007", "7"),
        ("+1.5", "1.5"),
        ("00.50", "0.50"),
    ];
    for (text, expected) in cases {
        assert_eq!(plain(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_number_is_refused() {
    for text in
        ["", "-", "1.", ".5", "1_000", "NaN", "Infinity", " 1", "1 ", "0x10", "1,5", "1e", "1e+", "--1", "1.2.3", "1e5.0"]
    {
        assert_eq!(text.parse::<Amount>(), Err(AmountError::Syntax), "{text:?}");
    }
    for text in ["1e999999999", "1e-999999999", &"9".repeat(600)] {
        assert_eq!(text.parse::<Amount>(), Err(AmountError::TooLong));
    }
}

#[test]
fn values_compare_apart_from_their_text() {
    let a = |t: &str| t.parse::<Amount>().unwrap();
    assert!(a("1.10").same_value(&a("1.1")));
    assert!(a("1000.000").same_value(&a("1000")));
    assert!(!a("100").same_value(&a("1")));
    assert!(a("0.00").is_zero() && !a("0.01").is_zero() && !a("-0.01").is_zero());
    assert_ne!(a("1.10"), a("1.1"));
}

#[test]
fn sums_never_round() {
    let a = |t: &str| t.parse::<Amount>().unwrap();
    assert_eq!(a("10000").plus(&a("100")).as_str(), "10100");
    assert_eq!(
        a("420690000000000.12345678901234").plus(&a("0.000000000000000001")).as_str(),
        "420690000000000.123456789012340001"
    );
    assert_eq!(a("79228162514264337593543950335").plus(&a("0.1")).as_str(), "79228162514264337593543950335.1");
    assert_eq!(a("1.5").minus(&a("1.5")).as_str(), "0.0");
    assert_eq!(a("1").minus(&a("1.5")).as_str(), "-0.5");
}

#[test]
fn json_numbers_and_strings_read_alike() {
    let raw = |t: &str| serde_json::value::RawValue::from_string(t.into()).unwrap();
    assert_eq!(Amount::from_json(&raw("1e-8")).unwrap().as_str(), "0.00000001");
    assert_eq!(Amount::from_json(&raw("\"1e-8\"")).unwrap().as_str(), "0.00000001");
    for text in ["null", "true", "[1]", "{}", "\"\""] {
        assert!(Amount::from_json(&raw(text)).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn text_survives_to_the_last_digit(whole in "0|[1-9][0-9]{0,60}", fraction in "[0-9]{0,60}", negative: bool) {
        let body = if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") };
        let zero = body.bytes().all(|b| b == b'0' || b == b'.');
        let text = if negative && !zero { format!("-{body}") } else { body };
        prop_assert_eq!(plain(&text), text);
    }

    #[test]
    fn exponents_agree_with_bigdecimal(mantissa in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?", exponent in -60i32..60) {
        let text = format!("{mantissa}e{exponent}");
        let ours = plain(&text).parse::<bigdecimal::BigDecimal>().unwrap();
        prop_assert_eq!(ours, text.parse::<bigdecimal::BigDecimal>().unwrap());
    }

    #[test]
    fn sums_agree_with_bigdecimal(a in "-?[1-9][0-9]{0,40}(\\.[0-9]{1,30})?", b in "-?[1-9][0-9]{0,40}(\\.[0-9]{1,30})?") {
        let (x, y): (Amount, Amount) = (a.parse().unwrap(), b.parse().unwrap());
        let sum: bigdecimal::BigDecimal = x.plus(&y).as_str().parse().unwrap();
        prop_assert_eq!(sum, a.parse::<bigdecimal::BigDecimal>().unwrap() + b.parse::<bigdecimal::BigDecimal>().unwrap());
    }

    #[test]
    fn parsing_never_panics(text in "\\PC{0,40}") {
        let _ = text.parse::<Amount>();
    }
}

#[test]
fn sums_of_the_longest_amounts_are_exact() {
    let (huge, tiny) = ("9".repeat(512), format!("0.{}1", "0".repeat(500)));
    let [a, b] = [&huge, &tiny].map(|text| text.parse::<Amount>().unwrap());
    assert_eq!(a.plus(&b).as_str(), format!("{huge}.{}1", "0".repeat(500)));
    assert!(a.plus(&b).minus(&b).same_value(&a) && a.plus(&a).minus(&a).same_value(&a));
    for sum in [a.plus(&b), a.plus(&a), a.plus(&b).negated()] {
        let kept = serde_json::to_string(&sum).unwrap();
        assert_eq!(serde_json::from_str::<Amount>(&kept).ok(), Some(sum), "what was kept is read again");
    }
    for bad in ["9".repeat(1_100), format!("{huge}.."), format!("{huge}.1.1"), format!("{huge}e5"), format!(".{huge}")] {
        assert!(serde_json::from_str::<Amount>(&format!("\"{bad}\"")).is_err(), "{bad}");
    }
}

#[test]
fn an_amount_that_was_read_reads_again() {
    for text in [format!("-{}", "9".repeat(512)), "-0.0001E-506".to_owned(), "-1e-510".to_owned(), "9e510".to_owned()] {
        let read = text.parse::<Amount>().unwrap();
        assert_eq!(read.as_str().parse(), Ok(read));
    }
}

#[test]
fn every_reason_is_listed_once() {
    let schema = serde_json::to_string(&schemars::schema_for!(ReasonCode)).unwrap();
    let words: std::collections::BTreeSet<_> = ReasonCode::ALL.into_iter().map(ReasonCode::as_str).collect();
    assert_eq!((words.len(), schema.matches("\"const\"").count()), (ReasonCode::ALL.len(), ReasonCode::ALL.len()), "{schema}");
    assert!(words.iter().all(|word| schema.contains(&format!("\"{word}\""))));
}

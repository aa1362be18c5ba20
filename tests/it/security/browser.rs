//! Pages of other origins: what they may open, what they may read, and what an answer lets a page do.

use reqwest::header::HeaderMap;

use super::kit::Gateway;

const APP: &str = "https://app.example.com";
const EVIL: &str = "https://evil.example";
const SERVER: &str = "allowed_origins = [\"https://app.example.com\"]";

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_page_of_another_origin_opens_no_socket_even_with_a_token() {
    let gateway = Gateway::start(SERVER, "").await;
    let bearer = format!("Bearer {}", gateway.token("alice"));
    for origin in
        [EVIL, "null", "https://app.example.com.evil.example", "https://app.example.com:8443", "http://app.example.com"]
    {
        let refused = gateway.connect_with(&[("origin", origin), ("authorization", &bearer)]).await.err();
        let (status, body) = refused.unwrap_or_else(|| panic!("{origin} may connect"));
        assert!(status == 403 && body.contains("FORBIDDEN_ORIGIN"), "{origin}: {status} {body}");
    }
    let twice = [("origin", APP), ("origin", EVIL), ("authorization", &bearer)];
    assert_eq!(gateway.connect_with(&twice).await.err().unwrap().0, 403);
    let own = format!("http://{}", gateway.addr);
    for origin in [APP, "HTTPS://App.Example.Com:443", own.as_str()] {
        let mut client = gateway.connect_with(&[("origin", origin), ("authorization", &bearer)]).await.unwrap();
        assert_eq!(client.frame().await["success"], true, "{origin}");
    }
    // What is no browser sends no origin.
    assert!(gateway.login(&gateway.token("alice")).await.is_served().await);
}

#[tokio::test]
async fn a_page_reads_answers_only_from_an_allowed_origin() {
    let gateway = Gateway::start(SERVER, "").await;
    let bearer = format!("Bearer {}", gateway.token("alice"));
    let ask = [("access-control-request-method", "GET"), ("access-control-request-headers", "authorization")];
    let preflight = |origin| {
        let headers = [("origin", origin), ask[0], ask[1]];
        let gateway = &gateway;
        async move { gateway.get_with("OPTIONS", "/v1/balances", &headers).await }
    };
    let (status, headers, _) = preflight(APP).await;
    assert_eq!((status, header(&headers, "access-control-allow-origin")), (204, Some(APP)));
    assert_eq!(header(&headers, "access-control-allow-methods"), Some("GET"));
    assert!(header(&headers, "access-control-allow-headers").unwrap().contains("authorization"));
    assert_eq!(header(&headers, "access-control-allow-credentials"), None, "tokens are sent by hand");
    assert_eq!(header(&headers, "vary"), Some("origin"));
    for origin in [EVIL, "null"] {
        let (status, headers, _) = preflight(origin).await;
        assert_eq!((status, header(&headers, "access-control-allow-origin")), (403, None), "{origin}");
        let (status, headers, body) =
            gateway.get_with("GET", "/v1/balances", &[("origin", origin), ("authorization", &bearer)]).await;
        assert_eq!((status, header(&headers, "access-control-allow-origin")), (403, None), "{origin}");
        assert!(!body.contains("balances"), "{body}");
    }
    let (status, headers, _) = gateway.get_with("GET", "/v1/balances", &[("origin", APP), ("authorization", &bearer)]).await;
    assert_eq!((status, header(&headers, "access-control-allow-origin")), (200, Some(APP)));
    assert!(header(&headers, "access-control-expose-headers").unwrap().contains("etag"));
    // A refusal, too, can be read by the page that caused it.
    let (status, headers, _) = gateway.get_with("GET", "/v1/balances", &[("origin", APP)]).await;
    assert_eq!((status, header(&headers, "access-control-allow-origin")), (401, Some(APP)));
}

#[tokio::test]
async fn every_answer_of_either_listener_carries_the_security_headers() {
    let gateway = Gateway::start(SERVER, "").await;
    let token = gateway.token("alice");
    let mut answers = vec![
        gateway.get("/v1/balances", &token).await.1,
        gateway.get("/v1/balances", "bad").await.1,
        gateway.get("/v1/balances?assets=", &token).await.1,
        gateway.get("/nowhere", &token).await.1,
        gateway.get_with("DELETE", "/v1/balances", &[]).await.1,
        gateway.get_with("GET", "/v1/balances", &[("origin", EVIL)]).await.1,
    ];
    for path in ["/health/live", "/metrics", "/nowhere"] {
        answers.push(gateway.http.get(format!("http://{}{path}", gateway.admin)).send().await.unwrap().headers().clone());
    }
    for headers in answers {
        assert_eq!(header(&headers, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(&headers, "referrer-policy"), Some("no-referrer"));
        assert_eq!(header(&headers, "x-frame-options"), Some("DENY"));
        let policy = header(&headers, "content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(header(&headers, "strict-transport-security"), None, "this listener speaks plain text");
    }
}

#[tokio::test]
async fn a_token_in_the_address_is_no_token() {
    let gateway = Gateway::start("", "").await;
    let token = gateway.token("alice");
    for name in ["token", "access_token", "authorization", "jwt"] {
        assert_eq!(gateway.get_with("GET", &format!("/v1/balances?{name}={token}"), &[]).await.0, 401, "{name}");
    }
}

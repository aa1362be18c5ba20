//! Every HTTP refusal has the one shape that the protocol gives errors, on both listeners.

use balance_gateway::app::App;
use balance_gateway::config::Config;
use balance_gateway::runtime::{Policy, Tasks};
use reqwest::Method;
use serde_json::Value;

use crate::support::world::http;

#[tokio::test]
async fn every_refusal_has_the_shape_of_an_error() {
    let anywhere = ["LISTEN", "ADMIN_LISTEN"].map(|key| (format!("BALANCE_GATEWAY__SERVER__{key}"), "127.0.0.1:0".to_owned()));
    let app = App::bind(Config::load(None, anywhere).expect("the defaults are valid")).await.expect("the gateway starts");
    let (front, admin, stop, tasks) = (app.addr(), app.admin_addr(), app.stop_token(), Tasks::new());
    tasks.spawn("gateway", Policy::Detached, async move { app.run().await.expect("the gateway ends well") });
    let cases = [
        (front, Method::GET, "/nothing", 404, "NOT_FOUND"),
        (front, Method::POST, "/v1/balances", 405, "METHOD_NOT_ALLOWED"),
        (front, Method::POST, "/v1/ws", 405, "METHOD_NOT_ALLOWED"),
        (front, Method::GET, "/v1/ws", 400, "BAD_REQUEST"),
        (front, Method::GET, "/v1/orders", 401, "NOT_AUTHENTICATED"),
        (admin, Method::GET, "/nothing", 404, "NOT_FOUND"),
        (admin, Method::GET, "/admin/reload", 405, "METHOD_NOT_ALLOWED"),
        (admin, Method::POST, "/admin/reload", 403, "FORBIDDEN"),
    ];
    for (host, method, path, status, code) in cases {
        let answer = http().request(method.clone(), format!("http://{host}{path}")).send().await.expect("an answer");
        let seen = answer.status().as_u16();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(header("www-authenticate").as_deref(), (status == 401).then_some("Bearer"), "{method} {path}");
        assert_eq!(header("allow").is_some(), status == 405, "{method} {path}");
        let body: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or_default();
        assert_eq!((seen, body["error"]["code"].as_str()), (status, Some(code)), "{method} {path}");
        assert!(body["error"]["message"].is_string(), "{method} {path}");
    }
    stop.cancel();
    tasks.wait().await;
}

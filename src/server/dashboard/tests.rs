//! What the page is served with, and that its policy fits what it is made of.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use tower::ServiceExt;

use super::*;

async fn fetch(path: &str, tag: Option<&str>) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    if let Some(tag) = tag {
        request.headers_mut().insert(IF_NONE_MATCH, tag.parse().unwrap());
    }
    let (head, body) = routes::<()>().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn everything_is_served_with_its_type_and_the_policy() {
    for asset in &ASSETS {
        let (status, headers, body) = fetch(asset.path, None).await;
        assert_eq!((status, body.as_bytes()), (StatusCode::OK, asset.body), "{}", asset.path);
        assert_eq!(headers[CONTENT_TYPE], asset.content_type);
        for (name, value) in HEADERS {
            assert_eq!(headers[&name], value, "{} {name}", asset.path);
        }
    }
}

#[tokio::test]
async fn a_page_that_is_held_is_not_sent_again() {
    let (_, headers, _) = fetch("/", None).await;
    let tag = headers[ETAG].to_str().unwrap();
    for held in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let (status, headers, body) = fetch("/", Some(&held)).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{held}");
        assert!(headers.contains_key("content-security-policy"));
    }
    assert_eq!(fetch("/", Some("\"other\"")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_page_names_only_what_is_served_here_and_holds_nothing_inline() {
    let (_, _, page) = fetch("/", None).await;
    let mut named = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in page.split(attribute).skip(1) {
            let path = rest.split('"').next().unwrap();
            assert!(ASSETS.iter().any(|asset| asset.path.trim_start_matches('/') == path), "{path} is not served");
            named += 1;
        }
    }
    assert_eq!(named, ASSETS.len() - 1, "the page itself is the only asset it does not name");
    for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
        assert!(!page.contains(inline), "the policy forbids {inline}");
    }
    assert!(page.split("<script").skip(1).all(|script| script.split('>').next().unwrap().contains("src=")));
}

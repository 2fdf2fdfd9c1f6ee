//! Requests of the engine to this program.
#![cfg(feature = "omq")]

mod support;

use std::sync::Arc;

use llm_sidecar_client::types::{HostOpenUrl, UrlOpened};
use llm_sidecar_client::{Engine, HandlerError, Tools};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use support::fake_engine::FakeEngine;
use support::soon;
use tokio::sync::Barrier;

#[derive(Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

async fn answer(params: Value) -> Result<Value, HandlerError> {
    match params["do"].as_str() {
        Some("echo") => Ok(params),
        Some("refuse") => {
            Err(HandlerError::new("permission_denied", "not today").with_data("why", "holiday"))
        }
        Some("fail") => Ok(json!(
            params["do"].as_str().unwrap_or_default().parse::<i64>()?
        )),
        Some("panic") => panic!("at the disco"),
        Some("shout") => {
            let loud = "x".repeat(20_000_000);
            Err(HandlerError::new("permission_denied", &loud).with_data("y", loud))
        }
        _ => std::future::pending().await,
    }
}

async fn pair() -> (FakeEngine, Engine) {
    FakeEngine::with_client(|connect| {
        let met = Arc::new(Barrier::new(2));
        let add = |add: Add| async move { Ok(add.a + add.b) };
        connect
            .on_any_request("host.elicit", answer)
            .on_any_request("host.meet", move |_: Value| {
                let met = met.clone();
                async move {
                    met.wait().await;
                    Ok("met")
                }
            })
            .on_any_request("host.number", |_: Value| async { Ok(f64::NAN) })
            .tools(Tools::new().with("add", "Adds two numbers", add))
    })
    .await
}

async fn ask(fake: &FakeEngine, id: u64, method: &str, params: Value) {
    fake.send(json!({"k": "req", "id": id, "m": method}), &params)
        .await;
}

/// The answer to a request: its kind and its body.
async fn answered(fake: &mut FakeEngine, id: u64) -> (String, Value) {
    let (header, body) = fake.next(&["res", "err"]).await;
    assert_eq!((&header["id"], &header["s"]), (&json!(id), &json!(0)));
    (header["k"].as_str().unwrap().to_owned(), body)
}

#[tokio::test]
async fn results_and_errors_go_back() {
    let (mut fake, _engine) = pair().await;
    ask(&fake, 1, "host.elicit", json!({"do": "echo"})).await;
    assert_eq!(
        answered(&mut fake, 1).await,
        ("res".into(), json!({"do": "echo"}))
    );
    ask(&fake, 2, "host.elicit", json!({"do": "refuse"})).await;
    let refusal =
        json!({"code": "permission_denied", "message": "not today", "data": {"why": "holiday"}});
    assert_eq!(answered(&mut fake, 2).await, ("err".into(), refusal));
    for (id, params, said) in [(3, "fail", "invalid digit"), (4, "panic", "at the disco")] {
        ask(&fake, id, "host.elicit", json!({"do": params})).await;
        let (kind, body) = answered(&mut fake, id).await;
        assert_eq!((kind.as_str(), &body["code"]), ("err", &json!("internal")));
        assert!(body["message"].as_str().unwrap().contains(said), "{body}");
    }
    ask(&fake, 5, "host.number", json!({})).await;
    let (_, body) = answered(&mut fake, 5).await;
    assert!(
        body["message"].as_str().unwrap().contains("cannot be sent"),
        "{body}"
    );
    ask(&fake, 6, "host.of_tomorrow", json!({})).await;
    assert_eq!(answered(&mut fake, 6).await.1["code"], "unsupported");
}

#[tokio::test]
async fn an_error_that_cannot_be_sent_whole_is_sent_without_its_data() {
    let (mut fake, _engine) = pair().await;
    ask(&fake, 1, "host.elicit", json!({"do": "shout"})).await;
    let refusal = json!({"code": "permission_denied", "message": "x".repeat(1000)});
    assert_eq!(answered(&mut fake, 1).await, ("err".into(), refusal));
}

#[tokio::test]
async fn handlers_run_side_by_side() {
    let (mut fake, _engine) = pair().await;
    ask(&fake, 1, "host.meet", json!({})).await;
    ask(&fake, 2, "host.meet", json!({})).await;
    for _ in 0..2 {
        let (header, body) = fake.next(&["res"]).await;
        assert!(header["id"] == 1 || header["id"] == 2);
        assert_eq!(body, "met");
    }
}

#[tokio::test]
async fn the_engine_may_cancel_and_late_cancels_are_ignored() {
    let (mut fake, _engine) = pair().await;
    ask(&fake, 1, "host.elicit", json!({"do": "wait"})).await;
    fake.round_trip().await;
    fake.send(json!({"k": "cancel", "id": 1}), &json!({})).await;
    assert_eq!(answered(&mut fake, 1).await.1["code"], "cancelled");
    fake.send(json!({"k": "cancel", "id": 1}), &json!({})).await;
    fake.send(json!({"k": "cancel", "id": 77}), &json!({}))
        .await;
    fake.round_trip().await;
    assert_eq!(fake.count("res") + fake.count("err"), 0);
}

#[tokio::test]
async fn closing_drops_what_still_runs() {
    struct Held(Option<tokio::sync::oneshot::Sender<()>>);
    let (dropped, was_dropped) = tokio::sync::oneshot::channel();
    let held = Arc::new(std::sync::Mutex::new(Some(Held(Some(dropped)))));
    let (fake, engine) = FakeEngine::with_client(|connect| {
        connect.on_any_request("host.elicit", move |_: Value| {
            let held = held.lock().unwrap().take();
            async move {
                std::future::pending::<()>().await;
                drop(held.map(|held| held.0));
                Ok(())
            }
        })
    })
    .await;
    let mut fake = fake;
    ask(&fake, 1, "host.elicit", json!({})).await;
    fake.round_trip().await;
    soon(engine.close()).await;
    assert!(soon(was_dropped).await.is_err());
}

#[tokio::test]
async fn tools_are_called_by_name_and_their_failures_are_told_to_the_model() {
    let (mut fake, _engine) = pair().await;
    let capabilities = fake.hello["capabilities"].as_array().unwrap();
    assert!(capabilities.contains(&json!("host.call_tool")));
    let call = |name, arguments| json!({"call_id": "c", "name": name, "arguments": arguments});
    ask(
        &fake,
        1,
        "host.call_tool",
        call("add", json!({"a": 2, "b": 3})),
    )
    .await;
    let (_, output) = answered(&mut fake, 1).await;
    assert_eq!(output["output"], "5");
    ask(&fake, 2, "host.call_tool", call("add", json!({"a": "two"}))).await;
    let (kind, output) = answered(&mut fake, 2).await;
    assert_eq!((kind.as_str(), &output["is_error"]), ("res", &json!(true)));
    assert!(
        output["output"].as_str().unwrap().contains("invalid type"),
        "{output}"
    );
    ask(&fake, 3, "host.call_tool", call("multiply", json!({}))).await;
    assert_eq!(answered(&mut fake, 3).await.1["code"], "not_found");
}

#[tokio::test]
async fn handlers_may_be_told_by_their_types() {
    let (mut fake, _engine) = FakeEngine::with_client(|connect| {
        connect.on_request(|request: HostOpenUrl| async move {
            Ok(UrlOpened::new(request.url.starts_with("https:")))
        })
    })
    .await;
    assert_eq!(fake.hello["capabilities"], json!(["host.open_url"]));
    let params = json!({"url": "https://example.org", "purpose": "authorization"});
    ask(&fake, 1, "host.open_url", params).await;
    assert_eq!(
        answered(&mut fake, 1).await,
        ("res".into(), json!({"opened": true}))
    );
    ask(&fake, 2, "host.open_url", json!({})).await;
    assert_eq!(answered(&mut fake, 2).await.1["code"], "invalid_params");
}

#[tokio::test]
async fn a_slow_handler_holds_up_nothing() {
    let (mut fake, engine) = pair().await;
    ask(&fake, 1, "host.elicit", json!({"do": "wait"})).await;
    let call = tokio::spawn(async move { engine.ping().await });
    let (id, ..) = fake.request().await;
    fake.send_result(
        id,
        0,
        json!({"phase": "idle", "step_age_ms": 1, "uptime_ms": 2}),
    )
    .await;
    let pong = soon(call).await.unwrap().unwrap();
    assert_eq!((pong.phase.as_str(), pong.step_age_ms), ("idle", 1.0));
}

#[tokio::test]
async fn a_request_whose_id_does_not_rise_is_ignored() {
    let (mut fake, _engine) = pair().await;
    ask(&fake, 5, "host.elicit", json!({"do": "wait"})).await;
    for id in [5, 4] {
        ask(&fake, id, "host.elicit", json!({"do": "echo"})).await;
    }
    ask(&fake, 6, "host.elicit", json!({"do": "echo"})).await;
    assert_eq!(answered(&mut fake, 6).await.0, "res");
    fake.round_trip().await;
    assert_eq!(fake.count("res") + fake.count("err"), 0);
}

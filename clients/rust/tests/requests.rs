//! Handshake, calls, errors and the end of a connection, against an engine played by hand.
#![cfg(feature = "omq")]

mod support;

use std::time::Duration;

use llm_sidecar_client::types::TokensEncode;
use llm_sidecar_client::{Engine, Error, Liveness, Notice, Notification};
use serde_json::{Value, json};
use support::fake_engine::{FakeEngine, completion};
use support::{say, soon};
use tokio::sync::mpsc;

async fn pair() -> (FakeEngine, Engine) {
    FakeEngine::with_client(|connect| connect).await
}

fn spawn_encode(engine: &Engine, text: &str) -> tokio::task::JoinHandle<Result<Vec<i64>, Error>> {
    let (engine, params) = (engine.clone(), TokensEncode::new(text));
    tokio::spawn(async move { Ok(engine.tokens().encode(&params).await?.token_ids) })
}

#[tokio::test]
async fn hello_says_who_calls_and_what_it_answers() {
    let (fake, engine) = FakeEngine::with_client(|connect| {
        connect.on_any_request("host.elicit", |params: Value| async move { Ok(params) })
    })
    .await;
    assert_eq!(fake.hello["client"]["language"], "rust");
    assert_eq!(fake.hello["protocols"], json!([1]));
    assert_eq!(fake.hello["capabilities"], json!(["host.elicit"]));
    assert_eq!(engine.welcome().unwrap().version, "9.9.9");
    assert_eq!(engine.pid().unwrap(), None);
}

#[tokio::test]
async fn ids_rise_and_answers_find_their_request() {
    let (mut fake, engine) = pair().await;
    let first = spawn_encode(&engine, "a");
    let (first_id, header, params) = fake.request().await;
    assert_eq!(
        (&header["m"], &params),
        (&json!("tokens.encode"), &json!({"text": "a"}))
    );
    assert_eq!(header.get("credit"), None);
    let second = spawn_encode(&engine, "b");
    let (second_id, ..) = fake.request().await;
    assert!(first_id < second_id);
    for id in [second_id, first_id] {
        fake.send_result(id, 0, json!({"token_ids": [id], "of_tomorrow": 1}))
            .await;
    }
    assert_eq!(soon(first).await.unwrap().unwrap(), [first_id as i64]);
    assert_eq!(soon(second).await.unwrap().unwrap(), [second_id as i64]);
}

#[tokio::test]
async fn errors_arrive_as_the_arm_of_their_code() {
    let (mut fake, engine) = pair().await;
    let call = spawn_encode(&engine, "a");
    let (id, ..) = fake.request().await;
    let body = json!({"code": "busy", "message": "full", "retryable": true, "data": {"retry_after_ms": 5}});
    fake.send(json!({"k": "err", "id": id, "s": 0}), &body)
        .await;
    let error = soon(call).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Busy(_)));
    assert!(error.is_retryable());
    assert_eq!((error.code(), error.to_string().as_str()), ("busy", "full"));
    assert_eq!(error.data().unwrap()["retry_after_ms"], 5);

    let call = spawn_encode(&engine, "a");
    let (id, ..) = fake.request().await;
    let body = json!({"code": "of_tomorrow", "message": "new"});
    fake.send(json!({"k": "err", "id": id, "s": 0}), &body)
        .await;
    let error = soon(call).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Other { .. }));
    assert_eq!(error.code(), "of_tomorrow");
}

#[tokio::test]
async fn a_result_of_another_shape_or_unreadable_fails_its_request_alone() {
    let (mut fake, engine) = pair().await;
    let shape = spawn_encode(&engine, "a");
    let (shape_id, ..) = fake.request().await;
    let unreadable = spawn_encode(&engine, "b");
    let (unreadable_id, ..) = fake.request().await;
    fake.send_result(shape_id, 0, json!({"token_ids": "none"}))
        .await;
    fake.send_frames(json!({"k": "res", "id": unreadable_id, "s": 0}), vec![0xc1])
        .await;
    fake.send(json!({"k": "of_tomorrow"}), &json!({})).await;
    for call in [shape, unreadable] {
        assert!(matches!(
            soon(call).await.unwrap(),
            Err(Error::InvalidMessage(_))
        ));
    }
    let other = spawn_encode(&engine, "c");
    let (id, ..) = fake.request().await;
    fake.send_result(id, 0, json!({"token_ids": [7]})).await;
    assert_eq!(soon(other).await.unwrap().unwrap(), [7]);
}

#[tokio::test]
async fn an_unreadable_message_ends_the_connection() {
    let (mut fake, engine) = pair().await;
    let call = spawn_encode(&engine, "a");
    fake.request().await;
    fake.send_frames(json!({"k": "evts"}), vec![0xc1]).await;
    let error = soon(call).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("unreadable"), "{error}");
    assert!(matches!(error, Error::EngineLost(lost) if lost.may_have_executed));
    assert!(matches!(engine.info().await, Err(Error::EngineLost(lost)) if !lost.may_have_executed));
}

#[tokio::test]
async fn what_cannot_be_sent_never_leaves() {
    let mut fake = FakeEngine::start().await;
    fake.welcome["limits"] = json!({"message_bytes": 1000});
    let opening = fake.connect().into_future();
    let (engine, ()) = tokio::join!(opening, fake.welcome());
    let engine = engine.unwrap();
    let error = soon(spawn_encode(&engine, &"x".repeat(1001)))
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error}");
    let data = error.data().unwrap();
    assert_eq!(data["limit"], 1000);
    assert!(data["size"].as_u64() > Some(1000));
    let error = engine
        .chat()
        .create(&say("hi").temperature(f64::NAN))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::InvalidMessage(_)), "{error}");
    let mut stream = engine.chat().stream(&say("hi").temperature(f64::INFINITY));
    assert!(matches!(
        stream.next().await,
        Some(Err(Error::InvalidMessage(_)))
    ));
    assert!(stream.next().await.is_none());
    fake.round_trip().await;
    assert_eq!(fake.count("req"), 0);
}

#[tokio::test]
async fn a_deadline_travels_as_time_to_live_and_gives_what_there_was() {
    let (mut fake, engine) = pair().await;
    let call = tokio::spawn(async move {
        engine
            .with_deadline(Duration::from_millis(1500))
            .chat()
            .create(&say("hi"))
            .await
    });
    let (id, header, _) = fake.request().await;
    assert_eq!(header["ttl"], 1500);
    let body = json!({"code": "deadline_exceeded", "message": "slow", "data": {"partial": completion("so far")}});
    fake.send(json!({"k": "err", "id": id, "s": 0}), &body)
        .await;
    let error = soon(call).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded(_)));
    let partial: llm_sidecar_client::types::ChatCompletion = error.partial().unwrap();
    assert_eq!(
        partial.choices[0].message.content.as_deref(),
        Some("so far")
    );
}

#[tokio::test]
async fn a_bye_fails_what_is_pending_and_answers_before_it_count() {
    let (mut fake, engine) = pair().await;
    let answered = spawn_encode(&engine, "a");
    let (id, ..) = fake.request().await;
    let pending = spawn_encode(&engine, "b");
    fake.request().await;
    fake.send_result(id, 0, json!({"token_ids": [3]})).await;
    fake.send(
        json!({"k": "bye"}),
        &json!({"code": "shutting_down", "message": "told to end"}),
    )
    .await;
    assert_eq!(soon(answered).await.unwrap().unwrap(), [3]);
    let error = soon(pending).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("told to end"), "{error}");
}

#[tokio::test]
async fn closing_says_bye_and_fails_what_is_pending() {
    let (mut fake, engine) = pair().await;
    let pending = spawn_encode(&engine, "a");
    fake.request().await;
    soon(engine.close()).await;
    fake.next(&["bye"]).await;
    let error = soon(pending).await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("closed by this program"),
        "{error}"
    );
    assert!(matches!(engine.info().await, Err(Error::EngineLost(_))));
    soon(engine.close()).await;
}

#[tokio::test]
async fn dropping_the_last_handle_says_bye() {
    let (mut fake, engine) = pair().await;
    let clone = engine.clone();
    drop(engine);
    fake.round_trip().await;
    assert_eq!(fake.count("bye"), 0);
    drop(clone);
    fake.next(&["bye"]).await;
}

#[tokio::test]
async fn a_bye_in_the_handshake_is_explained() {
    let mut fake = FakeEngine::start().await;
    fake.answers_hello = false;
    let opening = tokio::spawn(fake.connect().into_future());
    fake.next(&["hello"]).await;
    fake.send(
        json!({"k": "bye"}),
        &json!({"code": "conflict", "message": "another host"}),
    )
    .await;
    let error = soon(opening).await.unwrap().unwrap_err();
    assert_eq!(error.code(), "conflict");
    assert!(error.to_string().contains("another host"), "{error}");
}

#[tokio::test]
async fn an_engine_that_never_welcomes_is_given_up() {
    let mut fake = FakeEngine::start().await;
    fake.answers_hello = false;
    let time = Duration::from_millis(200);
    let opening = tokio::spawn(fake.connect().handshake_timeout(time).into_future());
    fake.next(&["hello"]).await;
    let error = soon(opening).await.unwrap().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("did not answer hello within 200ms"),
        "{error}"
    );
}

#[tokio::test]
async fn a_frozen_engine_is_reported_and_requests_stay_pending() {
    let (to_notices, mut notices) = mpsc::unbounded_channel();
    let (mut fake, engine) = FakeEngine::with_client(|connect| {
        let liveness = Liveness {
            ping: Duration::from_millis(100),
            frozen: Duration::from_millis(200),
            ..Liveness::default()
        };
        connect.liveness(liveness).on_notice(move |notice| {
            let _ = to_notices.send(notice);
        })
    })
    .await;
    let call = spawn_encode(&engine, "a");
    let (id, ..) = fake.request().await;
    fake.next(&["ping"]).await;
    let notice = soon(notices.recv()).await.unwrap();
    assert!(matches!(notice, Notice::Frozen(silent) if silent >= Duration::from_millis(200)));
    fake.send_result(id, 0, json!({"token_ids": []})).await;
    soon(call).await.unwrap().unwrap();
    assert!(matches!(
        soon(notices.recv()).await.unwrap(),
        Notice::Thawed
    ));
}

#[tokio::test]
async fn notifications_reach_the_listener() {
    let (to_names, mut names) = mpsc::unbounded_channel();
    let (fake, _engine) = FakeEngine::with_client(|connect| {
        connect.on_notification(move |notification| {
            let _ = to_names.send(notification);
        })
    })
    .await;
    let params = json!({"server": "s", "uri": "file:///x", "of_tomorrow": 1});
    fake.send(json!({"k": "ntf", "m": "mcp.resource_updated"}), &params)
        .await;
    fake.send(json!({"k": "ntf", "m": "mcp.resource_updated"}), &json!({}))
        .await;
    fake.send(json!({"k": "ntf", "m": "of_tomorrow"}), &json!({"x": 1}))
        .await;
    let known = soon(names.recv()).await.unwrap();
    assert!(
        matches!(known, Notification::McpResourceUpdated(updated) if updated.uri == "file:///x")
    );
    let unknown = soon(names.recv()).await.unwrap();
    assert!(matches!(unknown, Notification::Unknown { params, .. } if params == json!({"x": 1})));
}

#[tokio::test]
async fn an_idempotency_key_travels_in_the_header() {
    let (mut fake, engine) = pair().await;
    let call = {
        let once = engine.with_idempotency_key("welcome-7");
        tokio::spawn(async move {
            once.call::<_, Value>("conversations.create", &json!({}))
                .await
        })
    };
    let (id, header, _) = fake.request().await;
    assert_eq!(header["idem"], "welcome-7");
    fake.send_result(id, 0, json!({"id": "c"})).await;
    assert_eq!(soon(call).await.unwrap().unwrap()["id"], "c");
    let mut stream = engine.with_idempotency_key("k").chat().stream(&say("hi"));
    assert_eq!(fake.request().await.1["idem"], "k");
    stream.cancel();
    let _plain = spawn_encode(&engine, "a");
    assert_eq!(fake.request().await.1.get("idem"), None);
}

#[tokio::test]
async fn headers_that_no_engine_would_read_are_not_sent() {
    let (mut fake, engine) = pair().await;
    let long = "x".repeat(5000);
    let calls = [
        engine.call::<_, Value>(&long, &json!({})).await,
        engine
            .with_idempotency_key(long)
            .call("engine.ping", &json!({}))
            .await,
    ];
    for call in calls {
        let error = call.unwrap_err();
        assert!(matches!(error, Error::TooLarge(_)), "{error}");
        assert_eq!(error.data().unwrap()["limit"], 4096);
        assert!(error.data().unwrap()["size"].as_u64() > Some(5000));
    }
    let patient = engine.with_deadline(Duration::MAX);
    let call = tokio::spawn(async move { patient.ping().await.map(drop) });
    assert_eq!(fake.request().await.1["ttl"], (1_u64 << 53) - 1);
    call.abort();
}

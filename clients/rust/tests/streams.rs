//! Streams against an engine played by hand: order, credit, gaps, every way of leaving.
#![cfg(feature = "omq")]

mod support;

use llm_sidecar_client::types::{ChatEvent, TokensEncode};
use llm_sidecar_client::{Engine, Error};
use serde_json::json;
use support::fake_engine::{FakeEngine, chunk, completion};
use support::{say, soon, text_of};
use tokio_stream::StreamExt;

async fn pair() -> (FakeEngine, Engine) {
    FakeEngine::with_client(|connect| connect).await
}

fn spawn_encode(engine: &Engine, text: &str) -> tokio::task::JoinHandle<Result<Vec<i64>, Error>> {
    let (engine, params) = (engine.clone(), TokensEncode::new(text));
    tokio::spawn(async move { Ok(engine.tokens().encode(&params).await?.token_ids) })
}

#[tokio::test]
async fn events_then_the_whole_result() {
    let (mut fake, engine) = pair().await;
    let mut stream = engine.chat().stream(&say("Hi").max_tokens(5));
    let (id, header, params) = fake.request().await;
    assert_eq!(header["credit"], 32);
    let messages = json!([{"role": "user", "content": "Hi"}]);
    assert_eq!(
        params,
        json!({"messages": messages, "max_tokens": 5, "stream": true})
    );
    let of_tomorrow = json!({"type": "of_tomorrow", "x": 1});
    let queued = json!({"type": "queued", "position": 2});
    fake.send_events(id, 0, &[queued, chunk("Hel"), of_tomorrow, chunk("lo")])
        .await;
    fake.send_result(id, 4, completion("Hello")).await;
    let events: Vec<ChatEvent> = (&mut stream).collect::<Result<_, _>>().await.unwrap();
    assert!(matches!(&events[0], ChatEvent::Queued(queued) if queued.position == 2));
    assert!(matches!(&events[2], ChatEvent::Unknown(fields) if fields["x"] == 1));
    assert_eq!(events.len(), 4);
    let result = stream.result().await.unwrap();
    assert_eq!(result.choices[0].message.content.as_deref(), Some("Hello"));
}

#[tokio::test]
async fn the_error_that_ends_a_stream_comes_once_after_its_events() {
    let (mut fake, engine) = pair().await;
    let mut stream = engine.chat().stream(&say("Hi"));
    let (id, ..) = fake.request().await;
    fake.send_events(id, 0, &[chunk("a")]).await;
    let body = json!({"code": "out_of_memory", "message": "full"});
    fake.send(json!({"k": "err", "id": id, "s": 1}), &body)
        .await;
    assert_eq!(soon(stream.next_text()).await.unwrap().unwrap(), "a");
    assert!(matches!(
        soon(stream.next_text()).await,
        Some(Err(Error::OutOfMemory(_)))
    ));
    assert!(soon(stream.next_text()).await.is_none());
    assert!(matches!(stream.result().await, Err(Error::OutOfMemory(_))));
}

#[tokio::test]
async fn a_gap_is_an_error_and_cancels() {
    let (mut fake, engine) = pair().await;
    let mut stream = engine.chat().stream(&say("Hi"));
    let (id, ..) = fake.request().await;
    fake.send_events(id, 0, &[chunk("a")]).await;
    fake.send_events(id, 2, &[chunk("c")]).await;
    assert_eq!(soon(stream.next_text()).await.unwrap().unwrap(), "a");
    let error = soon(stream.next_text()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("event 1 is missing"), "{error}");
    assert_eq!(fake.next(&["cancel"]).await.0["id"], id);
}

#[tokio::test]
async fn a_terminal_that_counts_more_events_is_an_error() {
    let (mut fake, engine) = pair().await;
    let stream = engine.chat().stream(&say("Hi"));
    let (id, ..) = fake.request().await;
    fake.send_events(id, 0, &[chunk("a")]).await;
    fake.send_result(id, 2, completion("a")).await;
    let error = soon(stream.result()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("2 events were sent, 1 have arrived"),
        "{error}"
    );
}

#[tokio::test]
async fn credit_is_given_back_as_events_are_read() {
    let (mut fake, engine) = pair().await;
    let mut stream = engine.with_credit(4).chat().stream(&say("Hi"));
    let (id, header, _) = fake.request().await;
    assert_eq!(header["credit"], 4);
    fake.send_events(id, 0, &[chunk("a"), chunk("b"), chunk("c"), chunk("d")])
        .await;
    soon(stream.next()).await.unwrap().unwrap();
    fake.round_trip().await;
    assert_eq!(fake.count("credit"), 0);
    soon(stream.next()).await.unwrap().unwrap();
    let (header, _) = fake.next(&["credit"]).await;
    assert_eq!((&header["id"], &header["credit"]), (&json!(id), &json!(2)));
    // Who wants the result alone is never in its own way.
    let result = tokio::spawn(stream.result());
    assert_eq!(fake.next(&["credit"]).await.0["credit"], 2);
    fake.send_result(id, 4, completion("abcd")).await;
    soon(result).await.unwrap().unwrap();
}

#[tokio::test]
async fn dropping_cancels_a_stream_and_a_call() {
    let (mut fake, engine) = pair().await;
    let stream = engine.chat().stream(&say("Hi"));
    let (id, ..) = fake.request().await;
    drop(stream);
    assert_eq!(fake.next(&["cancel"]).await.0["id"], id);
    let call = spawn_encode(&engine, "a");
    let (id, ..) = fake.request().await;
    call.abort();
    assert_eq!(fake.next(&["cancel"]).await.0["id"], id);
    // What still comes of them disturbs nobody.
    fake.send_events(id, 7, &[chunk("late")]).await;
    fake.send_result(id, 9, json!({})).await;
    fake.send_result(id, 9, json!({})).await;
    fake.round_trip().await;
    assert_eq!(fake.count("cancel"), 0);
    assert!(engine.welcome().is_ok());
}

#[tokio::test]
async fn a_finished_stream_cancels_nothing() {
    let (mut fake, engine) = pair().await;
    let mut stream = engine.chat().stream(&say("Hi"));
    let (id, ..) = fake.request().await;
    fake.send_events(id, 0, &[chunk("a")]).await;
    fake.send_result(id, 1, completion("a")).await;
    assert_eq!(text_of(&mut stream).await.unwrap(), "a");
    drop(stream);
    fake.round_trip().await;
    assert_eq!(fake.count("cancel"), 0);
}

#[tokio::test]
async fn a_cancelled_stream_ends_with_what_there_was() {
    let (mut fake, engine) = pair().await;
    let mut stream = engine.chat().stream(&say("Hi"));
    let (id, ..) = fake.request().await;
    fake.send_events(id, 0, &[chunk("a"), chunk("b")]).await;
    soon(stream.next()).await.unwrap().unwrap();
    stream.cancel();
    stream.cancel();
    fake.next(&["cancel"]).await;
    fake.send_events(id, 2, &[chunk("c")]).await;
    let body = json!({"code": "cancelled", "message": "so you wished", "data": {"partial": completion("ab")}});
    fake.send(json!({"k": "err", "id": id, "s": 3}), &body)
        .await;
    let error = soon(stream.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Cancelled(_)));
    assert!(
        error
            .partial::<llm_sidecar_client::types::ChatCompletion>()
            .is_some()
    );
    assert!(soon(stream.next()).await.is_none());
    fake.round_trip().await;
    assert_eq!(fake.count("cancel"), 0);
}

#[tokio::test]
async fn events_of_several_streams_share_a_message() {
    let (mut fake, engine) = pair().await;
    let mut first = engine.chat().stream(&say("1"));
    let (first_id, ..) = fake.request().await;
    let mut second = engine.chat().stream(&say("2"));
    let (second_id, ..) = fake.request().await;
    let body = json!([
        [first_id, 0, chunk("a")],
        [second_id, 0, chunk("b")],
        [first_id, 1, chunk("c")],
        [999, 0, {}],
    ]);
    fake.send(json!({"k": "evts"}), &body).await;
    fake.send_result(first_id, 2, completion("ac")).await;
    fake.send_result(second_id, 1, completion("b")).await;
    assert_eq!(text_of(&mut first).await.unwrap(), "ac");
    assert_eq!(text_of(&mut second).await.unwrap(), "b");
}

#[tokio::test]
async fn credit_above_the_engines_is_what_the_engine_allows() {
    let mut fake = FakeEngine::start().await;
    fake.welcome["limits"] = json!({"credit": 4});
    let opening = fake.connect().into_future();
    let (engine, ()) = tokio::join!(opening, fake.welcome());
    let engine = engine.unwrap();
    let mut stream = engine.with_credit(1000).chat().stream(&say("Hi"));
    let (id, header, _) = fake.request().await;
    assert_eq!(header["credit"], 4);
    fake.send_events(id, 0, &[chunk("a"), chunk("b"), chunk("c"), chunk("d")])
        .await;
    for _ in 0..2 {
        soon(stream.next()).await.unwrap().unwrap();
    }
    assert_eq!(fake.next(&["credit"]).await.0["credit"], 2);
}

#[tokio::test]
async fn a_stream_without_credit_is_not_sent() {
    let (mut fake, engine) = pair().await;
    let mut stream = engine.with_credit(0).chat().stream(&say("Hi"));
    let error = soon(stream.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::InvalidParams(_)), "{error}");
    assert_eq!(error.data().unwrap()["parameter"], "credit");
    fake.round_trip().await;
    assert_eq!(fake.count("req"), 0);
}

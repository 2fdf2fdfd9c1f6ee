//! The client and the sidecar together: a real process with the scripted executor.
#![cfg(unix)]

mod support;

use std::time::Duration;

use llm_sidecar_client::types::{
    ChatEvent, EngineLogsEvent, GenerateCreate, LogLevel, TokensCount, TokensDecode, TokensEncode,
};
use llm_sidecar_client::{Engine, Error, Liveness, Notice};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::{gone, runs, say, sidecar, soon, text_of};
use tokio::sync::mpsc;

fn own_pid(engine: &Engine) -> u32 {
    engine.pid().unwrap().unwrap()
}

#[tokio::test]
async fn every_namespace_of_the_real_engine() {
    let engine = soon(sidecar().into_future()).await.unwrap();
    assert_eq!(engine.info().await.unwrap().app_id, "tests");
    let mut loading = engine.models().load_stream("default");
    assert!(soon(loading.next()).await.unwrap().is_ok());
    assert_eq!(
        soon(loading.result()).await.unwrap().executor.as_deref(),
        Some("scripted")
    );
    assert_eq!(
        engine.models().status().await.unwrap().models[0].name,
        "default"
    );
    let ids = engine
        .tokens()
        .encode(&TokensEncode::new("ab"))
        .await
        .unwrap()
        .token_ids;
    assert_eq!(
        engine
            .tokens()
            .decode(&TokensDecode::new(ids))
            .await
            .unwrap()
            .text,
        "ab"
    );
    let count = TokensCount::default().messages(say("ab").messages);
    assert!(engine.tokens().count(&count).await.unwrap().count > 2);
    let prompt = GenerateCreate::new("abc").max_tokens(3);
    assert_eq!(
        engine.generate().create(&prompt).await.unwrap().choices[0].text,
        "def"
    );
    let mut stream = engine.generate().stream(&prompt);
    let mut text = String::new();
    while let Some(piece) = soon(stream.next_text()).await {
        text += &piece.unwrap();
    }
    assert_eq!(text, "def");
    assert_eq!(engine.ping().await.unwrap().phase, "idle");
    assert!(engine.stats().await.unwrap().models[0].completion_tokens > 0);
    engine.set_log_level(LogLevel::Debug).await.unwrap();
    engine.models().unload("default").await.unwrap();
    assert!(engine.models().status().await.unwrap().models.is_empty());
    engine.models().list().await.unwrap();
    soon(engine.close()).await;
}

#[tokio::test]
async fn errors_of_the_real_engine() {
    let engine = soon(sidecar().into_future()).await.unwrap();
    let error = engine
        .call::<_, Value>("engine.nonsense", &json!({}))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::MethodNotFound(_)), "{error}");
    let error = engine
        .call::<_, Value>("chat.create", &json!({"mesages": []}))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("messages"), "{error}");
    let keyed = engine.with_idempotency_key("k");
    let error = keyed.ping().await.unwrap_err();
    assert!(matches!(error, Error::InvalidParams(_)), "{error}");
    let error = soon(engine.watch().result()).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error}");
    engine.models().load("default").await.unwrap();
    let hurried = engine.with_deadline(Duration::from_secs(1));
    let error = soon(hurried.chat().create(&say("slow 5 talk")))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded(_)), "{error}");
    let partial: llm_sidecar_client::types::ChatCompletion = error.partial().unwrap();
    assert!(
        partial.choices[0]
            .message
            .content
            .as_deref()
            .unwrap()
            .starts_with("la")
    );
    soon(engine.close()).await;
}

#[tokio::test]
async fn dropping_a_stream_stops_the_work() {
    let engine = soon(sidecar().into_future()).await.unwrap();
    let mut stream = engine.chat().stream(&say("slow 2 talk"));
    soon(stream.next_text()).await.unwrap().unwrap();
    drop(stream);
    soon(async { while engine.stats().await.unwrap().models[0].running > 0 {} }).await;
    soon(engine.close()).await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_disturbs_nobody() {
    let engine = soon(sidecar().into_future()).await.unwrap();
    let mut idle = engine.with_credit(4).chat().stream(&say("slow 5 talk"));
    soon(idle.next_text()).await.unwrap().unwrap();
    for _ in 0..5 {
        let answer = soon(engine.chat().create(&say("count 9"))).await.unwrap();
        assert_eq!(answer.usage.completion_tokens, 18);
    }
    soon(engine.close()).await;
}

#[tokio::test]
async fn logs_are_streamed_and_a_first_chat_tells_how_the_load_goes() {
    let engine = soon(sidecar().into_future()).await.unwrap();
    let mut logs = engine.logs(LogLevel::Error);
    let mut stream = engine.chat().stream(&say("crash"));
    let first = soon(stream.next()).await.unwrap().unwrap();
    assert!(matches!(first, ChatEvent::Loading(_)), "{first:?}");
    assert!(matches!(
        soon(stream.result()).await,
        Err(Error::Internal(_))
    ));
    let EngineLogsEvent::Log(record) = soon(logs.next()).await.unwrap().unwrap() else {
        panic!("no log record")
    };
    assert_eq!(record.level, LogLevel::Error);
    soon(engine.close()).await;
}

#[tokio::test]
async fn a_stopped_engine_is_reported_and_answers_when_it_goes_on() {
    let (to_notices, mut notices) = mpsc::unbounded_channel();
    let liveness = Liveness {
        ping: Duration::from_millis(100),
        frozen: Duration::from_millis(200),
        ..Liveness::default()
    };
    let spawn = sidecar().liveness(liveness).on_notice(move |notice| {
        let _ = to_notices.send(notice);
    });
    let engine = soon(spawn.into_future()).await.unwrap();
    let pid = Pid::from_raw(own_pid(&engine) as i32);
    kill(pid, Signal::SIGSTOP).unwrap();
    let call = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.ping().await })
    };
    assert!(matches!(
        soon(notices.recv()).await.unwrap(),
        Notice::Frozen(_)
    ));
    kill(pid, Signal::SIGCONT).unwrap();
    assert!(soon(call).await.unwrap().is_ok());
    assert!(matches!(
        soon(notices.recv()).await.unwrap(),
        Notice::Thawed
    ));
    kill(pid, Signal::SIGSTOP).unwrap();
    soon(engine.close()).await;
    assert!(!runs(pid.as_raw() as u32));
}

#[tokio::test]
async fn closing_lets_running_requests_finish() {
    let engine = soon(sidecar().into_future()).await.unwrap();
    engine.models().load("default").await.unwrap();
    let mut running = engine.chat().stream(&say("slow 5 count 20"));
    soon(running.next_text()).await.unwrap().unwrap();
    let closing = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.close_after(Duration::from_secs(20)).await })
    };
    text_of(&mut running).await.unwrap();
    assert!(
        soon(running.result()).await.unwrap().choices[0]
            .finish_reason
            .is_some()
    );
    soon(closing).await.unwrap();
}

#[tokio::test]
async fn wrong_options_are_explained() {
    let error = soon(sidecar().option("thread", 1).into_future())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "invalid_params");
    assert!(
        error.to_string().contains("did you mean 'threads'"),
        "{error}"
    );
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_process() {
    let engine = soon(sidecar().into_future()).await.unwrap();
    let pid = own_pid(&engine);
    drop(engine);
    gone(pid).await;
}

//! Real child processes: how they are started, refused, watched, started again and ended.
#![cfg(unix)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use llm_sidecar_client::{Engine, Error, Notice, RestartPolicy};
use serde_json::{Value, json};
use support::{fake_sidecar, gone, runs, say, soon, until};
use tokio::sync::mpsc;

async fn crash(engine: &Engine) -> llm_sidecar_client::EngineLost {
    match soon(engine.call::<_, Value>("test.crash", &json!({}))).await {
        Err(Error::EngineLost(lost)) => *lost,
        other => panic!("{other:?}"),
    }
}

fn own_pid(engine: &Engine) -> u32 {
    engine.pid().unwrap().unwrap()
}

#[test]
fn the_end_of_the_runtime_ends_the_process() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let engine =
        runtime.block_on(async { soon(fake_sidecar("deaf").into_future()).await.unwrap() });
    let pid = own_pid(&engine);
    drop(runtime);
    let patience = Instant::now();
    while runs(pid) {
        assert!(patience.elapsed() < support::DEADLINE);
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn the_environment_is_scrubbed_and_no_key_leaves_in_it_or_in_arguments() {
    let variables = [
        ("LD_TEST", "x"),
        ("PYTHONTEST", "x"),
        ("_PYI_TEST", "x"),
        ("KEPT", "x"),
    ];
    let spawn = fake_sidecar("").environment(variables);
    let engine = soon(spawn.into_future()).await.unwrap();
    let about: Value = soon(engine.call("engine.info", &json!({}))).await.unwrap();
    let environment = about["environment"].as_object().unwrap();
    assert_eq!(environment["KEPT"], "x");
    for name in ["LD_TEST", "PYTHONTEST", "_PYI_TEST"] {
        assert!(!environment.contains_key(name));
    }
    assert_eq!(about["pid"], own_pid(&engine));
    soon(engine.close()).await;
}

#[tokio::test]
async fn refusals_and_noise_are_explained() {
    for (behaviour, code, said) in [
        ("refuse", "invalid_params", "options has a fault"),
        ("garbage", "start_failed", "I am not JSON"),
        ("exit", "start_failed", "before it was ready: it went wrong"),
        ("other_protocol", "unsupported_protocol", "same release"),
    ] {
        let error = soon(fake_sidecar(behaviour).into_future())
            .await
            .unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(said), "{error}");
        if behaviour == "exit" {
            let Error::StartFailed(failed) = error else {
                panic!("{error}")
            };
            assert_eq!(failed.exit_status.unwrap().code(), Some(7));
            assert_eq!(failed.stderr_tail.last().unwrap(), "it went wrong");
        }
    }
    let error = soon(Engine::spawn("/nowhere/missing", "tests").into_future())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cannot be started"), "{error}");
}

#[tokio::test]
async fn programs_that_say_nothing_are_given_up() {
    let time = Duration::from_millis(500);
    let error = soon(fake_sidecar("silent").handshake_timeout(time).into_future())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("not ready within 500ms"),
        "{error}"
    );
    let time = Duration::from_secs(3);
    let error = soon(
        fake_sidecar("no_hello")
            .handshake_timeout(time)
            .into_future(),
    )
    .await
    .unwrap_err();
    assert!(
        error.to_string().contains("did not answer hello"),
        "{error}"
    );
}

#[tokio::test]
async fn giving_up_the_opening_leaves_no_process() {
    let (started, mut has_started) = mpsc::unbounded_channel();
    let spawn = fake_sidecar("silent").on_log(move |_| {
        let _ = started.send(());
    });
    let opening = tokio::spawn(spawn.into_future());
    soon(has_started.recv()).await.unwrap();
    opening.abort();
    assert!(soon(opening).await.unwrap_err().is_cancelled());
    // Its stderr ends with it, and with that the sink goes.
    assert!(soon(has_started.recv()).await.is_none());
}

#[tokio::test]
async fn stderr_is_forwarded_and_its_end_kept() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    let spawn = fake_sidecar("flood_stderr")
        .restart(RestartPolicy::NEVER)
        .on_log(move |line| sink.lock().unwrap().push(line.to_owned()));
    let engine = soon(spawn.into_future()).await.unwrap();
    let lost = crash(&engine).await;
    assert_eq!(lost.stderr_tail.len(), 200);
    assert_eq!(lost.stderr_tail.last().unwrap(), "line 19999");
    assert_eq!(
        lines.lock().unwrap()[0],
        r#"{"level":"info","message":"hello from stderr"}"#
    );
}

#[tokio::test]
async fn its_children_end_with_it() {
    let engine = soon(fake_sidecar("").restart(RestartPolicy::NEVER).into_future())
        .await
        .unwrap();
    let answer: Value = soon(engine.call("test.spawn_child", &json!({})))
        .await
        .unwrap();
    crash(&engine).await;
    gone(answer["pid"].as_u64().unwrap() as u32).await;
}

#[tokio::test]
async fn after_a_crash_later_requests_meet_a_new_process() {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let sink = notices.clone();
    let spawn = fake_sidecar("").on_notice(move |notice| sink.lock().unwrap().push(notice));
    let engine = soon(spawn.into_future()).await.unwrap();
    let first = own_pid(&engine);
    let pending = engine.chat().stream(&say("hi"));
    let lost = crash(&engine).await;
    assert!(lost.may_have_executed);
    assert!(lost.message.contains("SIGKILL"), "{}", lost.message);
    assert!(
        matches!(soon(pending.result()).await, Err(Error::EngineLost(lost)) if lost.may_have_executed)
    );
    let about: Value = soon(engine.call("engine.info", &json!({}))).await.unwrap();
    assert_eq!(about["pid"], own_pid(&engine));
    assert_ne!(about["pid"], first);
    until(|| notices.lock().unwrap().len() == 2).await;
    let notices = notices.lock().unwrap();
    assert!(
        matches!(notices[..], [Notice::Crashed(_), Notice::Restarted { .. }]),
        "{notices:?}"
    );
}

#[tokio::test]
async fn a_crash_loop_ends_in_a_clear_stop() {
    let policy = RestartPolicy {
        max_restarts: 2,
        within: Duration::from_secs(600),
    };
    let (to_notices, mut notices) = mpsc::unbounded_channel();
    let spawn = fake_sidecar("").restart(policy).on_notice(move |notice| {
        let _ = to_notices.send(notice);
    });
    let engine = soon(spawn.into_future()).await.unwrap();
    for _ in 0..3 {
        crash(&engine).await;
    }
    let error = soon(engine.info()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("after 2 restarts within 600s it is not started again"),
        "{error}"
    );
    let mut restarts = 0;
    loop {
        match soon(notices.recv()).await.unwrap() {
            Notice::Restarted { .. } => restarts += 1,
            Notice::GaveUp(_) => break,
            _ => {}
        }
    }
    assert_eq!(restarts, 2);
}

#[tokio::test]
async fn closing_ends_one_that_does_not_want_to_and_aborting_is_immediate() {
    let engine = soon(fake_sidecar("deaf").into_future()).await.unwrap();
    let (pid, began) = (own_pid(&engine), Instant::now());
    soon(engine.close()).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(!runs(pid));

    let engine = soon(fake_sidecar("deaf").into_future()).await.unwrap();
    let pid = own_pid(&engine);
    let call = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.call::<_, Value>("test.wait", &json!({})).await })
    };
    let began = Instant::now();
    soon(engine.abort()).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(!runs(pid));
    assert!(matches!(
        soon(call).await.unwrap(),
        Err(Error::EngineLost(_))
    ));
}

#[tokio::test]
async fn an_engine_told_to_end_is_not_started_again() {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let sink = notices.clone();
    let spawn = fake_sidecar("").on_notice(move |notice| sink.lock().unwrap().push(notice));
    let engine = soon(spawn.into_future()).await.unwrap();
    soon(engine.shutdown(Duration::ZERO)).await.unwrap();
    assert!(matches!(
        soon(engine.info()).await,
        Err(Error::EngineLost(_))
    ));
    assert!(notices.lock().unwrap().is_empty());
}

#[tokio::test]
async fn closing_while_it_is_started_again() {
    let crashed = Arc::new(tokio::sync::Notify::new());
    let ringing = crashed.clone();
    let spawn = fake_sidecar("").on_notice(move |_| ringing.notify_one());
    let engine = soon(spawn.into_future()).await.unwrap();
    let pid = own_pid(&engine);
    crash(&engine).await;
    soon(crashed.notified()).await;
    let waiting = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.info().await })
    };
    tokio::task::yield_now().await;
    soon(engine.close()).await;
    assert!(!runs(pid));
    assert!(matches!(
        soon(waiting).await.unwrap(),
        Err(Error::EngineLost(_))
    ));
}

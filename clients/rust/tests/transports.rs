//! What every transport must do, shown on the real sidecar.

mod support;

use std::time::{Duration, Instant};

use llm_sidecar_client::types::{TokensEncode, Usage};
use llm_sidecar_client::{Engine, Error, RestartPolicy, transport::Transport};
use support::{runs, say, sidecar, soon, text_of};

async fn spawn(transport: impl Transport) -> Engine {
    let spawn = sidecar().transport(transport).restart(RestartPolicy::NEVER);
    soon(spawn.into_future()).await.expect("an engine")
}

async fn chats(transport: impl Transport) {
    let engine = spawn(transport).await;
    let completion = engine
        .chat()
        .create(&say("count 5"))
        .await
        .expect("an answer");
    assert_eq!(
        completion.choices[0].message.content.as_deref(),
        Some("1 2 3 4 5")
    );
    let mut stream = engine.chat().stream(&say("count 5"));
    assert_eq!(text_of(&mut stream).await.expect("a stream"), "1 2 3 4 5");
    let usage: Usage = stream.result().await.expect("a result").usage;
    assert_eq!(usage.completion_tokens, completion.usage.completion_tokens);
    let pid = engine.pid().expect("it runs").expect("our own");
    soon(engine.close()).await;
    assert!(!runs(pid));
}

async fn carries_large_messages(transport: impl Transport) {
    let engine = spawn(transport).await;
    // Half the limit one way, and as many tokens back as a message may hold.
    let text = "x".repeat(100_000);
    let encoded = soon(engine.tokens().encode(&TokensEncode::new(text.clone()))).await;
    assert_eq!(encoded.expect("tokens").token_ids.len(), text.len());
    let error = soon(
        engine
            .tokens()
            .encode(&TokensEncode::new("x".repeat(17 << 20))),
    )
    .await;
    assert!(matches!(error, Err(Error::TooLarge(_))));
    engine.close().await;
}

async fn carries_many_streams(transport: impl Transport) {
    let engine = spawn(transport).await;
    let streams: Vec<_> = (1..=100)
        .map(|number| {
            let engine = engine.with_credit(3);
            tokio::spawn(async move {
                let mut stream = engine
                    .chat()
                    .stream(&say(&format!("count {}", number % 40 + 1)));
                let text = text_of(&mut stream).await.expect("a stream");
                let whole = stream.result().await.expect("a result");
                assert_eq!(
                    whole.choices[0].message.content.as_deref(),
                    Some(text.as_str())
                );
                text.split(' ').count()
            })
        })
        .collect();
    for (number, stream) in (1..=100).zip(streams) {
        assert_eq!(soon(stream).await.expect("no panic"), number % 40 + 1);
    }
    engine.close().await;
}

async fn tells_a_loss_within_a_second(transport: impl Transport) {
    let engine = spawn(transport).await;
    let mut stream = engine.chat().stream(&say("slow 5 talk"));
    soon(stream.next_text())
        .await
        .expect("text")
        .expect("no error");
    let pid = engine.pid().expect("it runs").expect("our own");
    kill(pid);
    let killed = Instant::now();
    let error = loop {
        // What came before the kill may still be read.
        match soon(stream.next_text()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the stream ended as if nothing had happened"),
        }
    };
    assert!(
        killed.elapsed() < Duration::from_secs(1),
        "{:?}",
        killed.elapsed()
    );
    let Error::EngineLost(lost) = error else {
        panic!("{error}")
    };
    assert!(lost.may_have_executed);
    assert!(lost.exit_status.is_some_and(|status| !status.success()));
    let later = engine.info().await;
    assert!(matches!(later, Err(Error::EngineLost(lost)) if !lost.may_have_executed));
}

async fn loses_no_answer_before_the_end(transport: impl Transport + Copy) {
    for _ in 0..5 {
        let engine = spawn(transport).await;
        let answers: Vec<_> = (0..20)
            .map(|_| {
                let engine = engine.clone();
                tokio::spawn(async move { engine.ping().await })
            })
            .collect();
        for answer in answers {
            answer.await.expect("no panic").expect("an answer");
        }
        soon(engine.shutdown(Duration::ZERO))
            .await
            .expect("the answer to shutdown");
        soon(engine.close()).await;
    }
}

fn kill(pid: u32) {
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status();
    assert!(killed.expect("a kill command").success());
}

macro_rules! contract {
    ($name:ident, $transport:expr) => {
        mod $name {
            #[tokio::test]
            async fn chats() {
                super::chats($transport).await;
            }

            #[tokio::test]
            async fn carries_large_messages() {
                super::carries_large_messages($transport).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn carries_many_streams() {
                super::carries_many_streams($transport).await;
            }

            #[tokio::test]
            async fn tells_a_loss_within_a_second() {
                super::tells_a_loss_within_a_second($transport).await;
            }

            #[tokio::test]
            async fn loses_no_answer_before_the_end() {
                super::loses_no_answer_before_the_end($transport).await;
            }
        }
    };
}

#[cfg(feature = "omq")]
contract!(omq, llm_sidecar_client::transport::OmqTransport);
#[cfg(feature = "zmq")]
contract!(zmq, llm_sidecar_client::transport::ZmqTransport);

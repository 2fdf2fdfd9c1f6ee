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

#[cfg(unix)]
async fn explains_doors_that_lead_nowhere(transport: impl Transport + Copy) {
    use std::os::unix::fs::PermissionsExt;

    let sidecar = support::SocketSidecar::start().await;
    let good: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&sidecar.connection_file).unwrap()).unwrap();
    let other = transport.generate_keys().unwrap();
    let pair = [
        ("client_key", &*other.public),
        ("client_secret", &*other.secret),
    ];
    let doors: [(&[(&str, &str)], &str); 6] = [
        (
            &[("endpoint", "tcp://127.0.0.1:1")],
            "nothing listens there",
        ),
        (&[("endpoint", "nonsense")], "cannot be connected to"),
        (&[("client_key", "no key")], "cannot be connected to"),
        (&[("client_secret", "no secret")], "cannot be connected to"),
        (
            &[("server_key", &other.public)],
            "the encrypted handshake failed",
        ),
        (&pair, "the engine refused this program's key"),
    ];
    for (changes, explanation) in doors {
        let mut door = good.clone();
        for (name, value) in changes {
            door[name] = (*value).into();
        }
        let file = sidecar.folder.path().join("changed.json");
        std::fs::write(&file, door.to_string()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let began = Instant::now();
        let opening = Engine::connect_to(&file).transport(transport).into_future();
        let error = soon(opening).await.expect_err(explanation);
        assert!(
            error.to_string().contains(explanation),
            "{changes:?}: {error}"
        );
        assert!(!error.to_string().contains(&other.secret));
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}

#[cfg(unix)]
async fn shares_an_engine_that_was_found(transport: impl Transport + Copy) {
    let mut sidecar = support::SocketSidecar::start().await;
    let connect = || {
        Engine::connect_to(&sidecar.connection_file)
            .transport(transport)
            .into_future()
    };
    let (first, second) = tokio::join!(soon(connect()), soon(connect()));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.pid().unwrap(), None);
    let mut frames = first.watch();
    let answer = soon(second.chat().create(&say("count 3"))).await.unwrap();
    assert_eq!(answer.choices[0].message.content.as_deref(), Some("1 2 3"));
    assert!(soon(frames.next()).await.unwrap().is_ok());
    soon(second.close()).await;
    assert!(first.ping().await.is_ok());
    soon(first.close()).await;
    assert!(sidecar.runs());
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

            #[cfg(unix)]
            #[tokio::test]
            async fn explains_doors_that_lead_nowhere() {
                super::explains_doors_that_lead_nowhere($transport).await;
            }

            #[cfg(unix)]
            #[tokio::test]
            async fn shares_an_engine_that_was_found() {
                super::shares_an_engine_that_was_found($transport).await;
            }
        }
    };
}

#[cfg(feature = "omq")]
contract!(omq, llm_sidecar_client::transport::OmqTransport);
#[cfg(feature = "zmq")]
contract!(zmq, llm_sidecar_client::transport::ZmqTransport);

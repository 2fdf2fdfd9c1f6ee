//! Tools of this program, called by the real engine in the middle of a chat.

mod support;

use std::sync::Arc;

use llm_sidecar_client::types::{ChatCreate, ChatEvent, JsonObject, ToolExecution};
use llm_sidecar_client::{Engine, Error, HandlerError, Tools};
use schemars::JsonSchema;
use serde::Deserialize;
use support::{say, sidecar, soon};
use tokio::sync::Notify;

#[derive(Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// Says when it is dropped.
struct Guard(Arc<Notify>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

struct Host {
    engine: Engine,
    tools: Tools,
    waits: Arc<Notify>,
    dropped: Arc<Notify>,
}

async fn host() -> Host {
    let (waits, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (waiting, dropping) = (waits.clone(), dropped.clone());
    let tools = Tools::new()
        .with("add", "Adds two numbers", |add: Add| async move {
            Ok(add.a + add.b)
        })
        .with_schema(
            "echo",
            "Says it again",
            JsonObject::new(),
            |said| async move { Ok(said["text"].clone()) },
        )
        .with("fail", "Fails", |_: Nothing| async {
            Err::<(), _>(HandlerError::new("internal", "out of luck"))
        })
        .with("wait", "Waits for ever", move |_: Nothing| {
            let (waiting, guard) = (waiting.clone(), Guard(dropping.clone()));
            async move {
                waiting.notify_one();
                std::future::pending::<()>().await;
                drop(guard);
                Ok(())
            }
        });
    let engine = soon(sidecar().tools(tools.clone()).into_future())
        .await
        .unwrap();
    Host {
        engine,
        tools,
        waits,
        dropped,
    }
}

impl Host {
    fn asks(&self, text: &str) -> ChatCreate {
        say(text)
            .tools(self.tools.definitions())
            .tool_execution(ToolExecution::Host)
    }

    async fn answer(&self, text: &str) -> String {
        let answer = soon(self.engine.chat().create(&self.asks(text)))
            .await
            .unwrap();
        answer.choices[0]
            .message
            .content
            .clone()
            .unwrap_or_default()
    }
}

#[tokio::test]
async fn results_and_failures_reach_the_model() {
    let host = host().await;
    assert_eq!(host.answer(r#"call add {"a": 1, "b": 2}"#).await, "3");
    assert_eq!(host.answer(r#"call echo {"text": "hello"}"#).await, "hello");
    assert!(host.answer("call fail {}").await.contains("out of luck"));
    assert!(
        host.answer(r#"call add {"a": "one"}"#)
            .await
            .contains("invalid type")
    );
    let two = "call add {\"a\": 1, \"b\": 2}\ncall add {\"a\": 3, \"b\": 4}\nthen all done";
    assert_eq!(host.answer(two).await, "all done");
    soon(host.engine.close()).await;
}

#[tokio::test]
async fn a_stream_shows_results_on_its_way() {
    let host = host().await;
    let question = host.asks("call add {\"a\": 1, \"b\": 2}\nthen ok");
    let mut stream = host.engine.chat().stream(&question);
    let mut results = 0;
    while let Some(event) = soon(stream.next()).await {
        if let ChatEvent::ToolResult(_) = event.unwrap() {
            results += 1;
        }
    }
    assert_eq!(results, 1);
    let completion = soon(stream.result()).await.unwrap();
    assert_eq!(completion.tool_rounds.len(), 1);
    soon(host.engine.close()).await;
}

#[tokio::test]
async fn cancelling_a_chat_drops_its_tools() {
    let host = host().await;
    let mut stream = host.engine.chat().stream(&host.asks("call wait {}"));
    soon(host.waits.notified()).await;
    stream.cancel();
    soon(host.dropped.notified()).await;
    assert!(matches!(
        soon(stream.result()).await,
        Err(Error::Cancelled(_))
    ));
    soon(host.engine.close()).await;
}

//! Calls and streams that run side by side, each on a task of its own.

use std::collections::HashMap;
use std::time::Duration;

use llm_sidecar_client::{Engine, EventStream};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::command::{Call, Count, Named, Read, Stream};
use crate::value::Wire;
use crate::voice::{Said, Voice};

type AnyStream = EventStream<Wire, Wire>;

/// All that were begun, by their names.
#[derive(Debug)]
pub struct Requests {
    voice: Voice,
    begun: HashMap<String, Begun>,
}

#[derive(Debug)]
struct Begun {
    task: AbortHandle,
    /// Tells a stream's reader to read on.
    reads: Option<mpsc::UnboundedSender<Count>>,
}

impl Requests {
    pub fn new(voice: Voice) -> Self {
        Self {
            voice,
            begun: HashMap::new(),
        }
    }

    pub fn call(&mut self, engine: &Engine, call: Call) {
        let engine = on_terms(engine, call.deadline_ms, call.idempotency_key);
        let (voice, request) = (self.voice.clone(), call.request.clone());
        let task = tokio::spawn(async move {
            let params = Wire(Value::Object(call.params));
            let answer = engine.call::<_, Wire>(&call.method, &params).await;
            say_end(&voice, request, answer);
        });
        let task = task.abort_handle();
        self.begun.insert(call.request, Begun { task, reads: None });
    }

    pub fn stream(&mut self, engine: &Engine, stream: Stream) {
        let mut engine = on_terms(engine, stream.deadline_ms, stream.idempotency_key);
        if let Some(events) = stream.credit {
            engine = engine.with_credit(events);
        }
        let params = Wire(Value::Object(stream.params));
        let reader = Reader {
            voice: self.voice.clone(),
            request: stream.request.clone(),
            stream: engine.stream(&stream.method, &params),
        };
        let (to_reads, reads) = mpsc::unbounded_channel();
        // The reader holds the other end.
        let _ = to_reads.send(stream.read);
        let task = tokio::spawn(reader.read(reads)).abort_handle();
        let reads = Some(to_reads);
        self.begun.insert(stream.request, Begun { task, reads });
    }

    /// Reads on. A stream that has ended has nothing more to say.
    pub fn read(&self, read: &Read) -> Result<(), String> {
        let begun = self.begun.get(&read.request);
        let Some(reads) = begun.and_then(|begun| begun.reads.as_ref()) else {
            return Err(format!("there is no stream {:?}", read.request));
        };
        let _ = reads.send(read.count);
        Ok(())
    }

    /// Drops what is held of a request, if it has not ended: the call's future, or the stream.
    pub fn cancel(&self, cancel: Named) -> Result<(), String> {
        let Some(begun) = self.begun.get(&cancel.request) else {
            return Err(format!("there is no request {:?}", cancel.request));
        };
        begun.task.abort();
        self.voice.say(&Said::Left {
            request: cancel.request,
        });
        Ok(())
    }
}

fn on_terms(engine: &Engine, deadline_ms: Option<u64>, idempotency_key: Option<String>) -> Engine {
    let mut engine = engine.clone();
    if let Some(time) = deadline_ms {
        engine = engine.with_deadline(Duration::from_millis(time));
    }
    if let Some(key) = idempotency_key {
        engine = engine.with_idempotency_key(key);
    }
    engine
}

fn say_end(voice: &Voice, request: String, end: Result<Wire, llm_sidecar_client::Error>) {
    voice.say(&match end {
        Ok(Wire(value)) => Said::Result { request, value },
        Err(error) => Said::Error {
            request,
            error: error.into(),
        },
    });
}

struct Reader {
    voice: Voice,
    request: String,
    stream: AnyStream,
}

impl Reader {
    /// Reads as many events as it is told, and the end behind the last.
    async fn read(mut self, mut reads: mpsc::UnboundedReceiver<Count>) {
        let mut index = 0;
        while let Some(count) = reads.recv().await {
            let mut left = match count {
                Count::All => u64::MAX,
                Count::So(number) => number,
            };
            while left > 0 {
                match self.stream.next().await {
                    Some(Ok(Wire(value))) => self.voice.say(&Said::Event {
                        request: self.request.clone(),
                        index,
                        value,
                    }),
                    Some(Err(error)) => return say_end(&self.voice, self.request, Err(error)),
                    None => {
                        let result = self.stream.result().await;
                        return say_end(&self.voice, self.request, result);
                    }
                }
                index += 1;
                left -= 1;
            }
        }
    }
}

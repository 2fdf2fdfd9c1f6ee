//! How fast the client is, by its typed calls.

use std::time::{Duration, Instant};

use llm_sidecar_client::types::{ChatEvent, GenerateEvent, JsonObject};
use llm_sidecar_client::{Details, Engine, Error, EventStream};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// How long each of so many pings took, one after another.
pub async fn pings(engine: Engine, count: usize) -> Result<Value, Error> {
    let mut microseconds = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        engine.ping().await?;
        microseconds.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(json!({"microseconds": microseconds}))
}

/// So many streams of a method, all begun at once and read to their ends.
pub struct Streams {
    method: Method,
    params: JsonObject,
    streams: usize,
}

enum Method {
    Chat,
    Generate,
}

impl Streams {
    pub fn new(method: &str, params: JsonObject, streams: usize) -> Result<Self, String> {
        let method = match method {
            "chat.create" => Method::Chat,
            "generate.create" => Method::Generate,
            other => return Err(format!("streams of {other:?} are not measured")),
        };
        Ok(Self {
            method,
            params,
            streams,
        })
    }

    pub async fn measure(self, engine: Engine) -> Result<Value, Error> {
        let params = Value::Object(self.params);
        match self.method {
            Method::Chat => {
                let params = typed(params)?;
                let open = || engine.chat().stream(&params);
                drain(self.streams, open, characters_of_chat).await
            }
            Method::Generate => {
                let params = typed(params)?;
                let open = || engine.generate().stream(&params);
                drain(self.streams, open, characters_of_generation).await
            }
        }
    }
}

fn typed<P: DeserializeOwned>(params: Value) -> Result<P, Error> {
    serde_json::from_value(params).map_err(|error| {
        Error::InvalidParams(Box::new(Details {
            message: error.to_string(),
            ..Details::default()
        }))
    })
}

fn characters_of_chat(event: &ChatEvent) -> usize {
    let ChatEvent::Chunk(event) = event else {
        return 0;
    };
    let texts = event.chunk.choices.iter();
    texts
        .filter_map(|choice| choice.delta.content.as_deref())
        .map(|text| text.chars().count())
        .sum()
}

fn characters_of_generation(event: &GenerateEvent) -> usize {
    match event {
        GenerateEvent::Chunk(chunk) => chunk.text.chars().count(),
        _ => 0,
    }
}

async fn drain<E, R>(
    streams: usize,
    open: impl Fn() -> EventStream<E, R>,
    characters_in: fn(&E) -> usize,
) -> Result<Value, Error>
where
    E: DeserializeOwned + 'static,
    R: DeserializeOwned + 'static,
{
    let (began, processor_began) = (Instant::now(), processor_time());
    let mut readers = JoinSet::new();
    for _ in 0..streams {
        let mut stream = open();
        readers.spawn(async move {
            let (mut events, mut characters, mut first) = (0_usize, 0, None);
            while let Some(event) = stream.next().await {
                first.get_or_insert_with(|| began.elapsed().as_secs_f64());
                events += 1;
                characters += characters_in(&event?);
            }
            stream.result().await?;
            Ok::<_, Error>((events, characters, first))
        });
    }
    let (mut events, mut characters, mut firsts) = (0, 0, Vec::new());
    for read in readers.join_all().await {
        let (of_one, text, first) = read?;
        events += of_one;
        characters += text;
        firsts.extend(first);
    }
    let processor = processor_began
        .zip(processor_time())
        .map(|(began, ended)| (ended - began).as_secs_f64());
    Ok(json!({
        "events": events,
        "characters": characters,
        "seconds": began.elapsed().as_secs_f64(),
        "processor_seconds": processor,
        "first_event_seconds": firsts,
    }))
}

/// What this process has had of the processors, where the system tells.
fn processor_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        use nix::sys::time::TimeValLike;

        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let microseconds =
            usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Some(Duration::from_micros(u64::try_from(microseconds).ok()?))
    }
    #[cfg(not(unix))]
    None
}

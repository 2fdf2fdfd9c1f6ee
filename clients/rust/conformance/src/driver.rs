//! Does what commands say. Each is begun at once and waits for no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use llm_sidecar_client::{Engine, Error};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::command::{Command, MeasureTimer};
use crate::failure::Failure;
use crate::handlers::Handlers;
use crate::measures::{self, Streams};
use crate::opening::{self, Opening};
use crate::requests::Requests;
use crate::timer;
use crate::voice::{Said, Voice};

/// Engines that were opened, by their names.
#[derive(Debug, Clone, Default)]
struct Engines(Arc<Mutex<HashMap<String, Engine>>>);

impl Engines {
    fn get(&self, name: &str) -> Result<Engine, String> {
        let engine = self.lock().get(name).cloned();
        engine.ok_or_else(|| format!("there is no engine {name:?}"))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Engine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub struct Driver {
    voice: Voice,
    engines: Engines,
    handlers: Handlers,
    requests: Requests,
    /// Openings, closings and measures; what still runs at the end is dropped.
    tasks: JoinSet<()>,
}

impl Driver {
    pub fn new(voice: Voice) -> Self {
        Self {
            engines: Engines::default(),
            handlers: Handlers::new(voice.clone()),
            requests: Requests::new(voice.clone()),
            tasks: JoinSet::new(),
            voice,
        }
    }

    /// Begins what a line says; why not, if it cannot be.
    pub fn begin(&mut self, line: &str) -> Result<(), String> {
        let command = serde_json::from_str(line).map_err(|error| error.to_string())?;
        match command {
            Command::Spawn(open) => {
                let name = open.engine.clone();
                let opening = opening::spawn(open, &self.voice, &self.handlers)?;
                self.open(name, opening);
            }
            Command::Connect(open) => {
                let name = open.engine.clone();
                let opening = opening::connect(open, &self.voice, &self.handlers)?;
                self.open(name, opening);
            }
            Command::Call(call) => {
                let engine = self.engines.get(&call.engine)?;
                self.requests.call(&engine, call);
            }
            Command::Stream(stream) => {
                let engine = self.engines.get(&stream.engine)?;
                self.requests.stream(&engine, stream);
            }
            Command::Read(read) => self.requests.read(&read)?,
            Command::Cancel(cancel) => self.requests.cancel(cancel)?,
            Command::Answer(answer) => self.handlers.answer(answer)?,
            Command::Close(close) => {
                let engine = self.engines.get(&close.engine)?;
                let grace = Duration::from_millis(close.grace_ms);
                self.end(close.engine, async move { engine.close_after(grace).await });
            }
            Command::Abort(abort) => {
                let engine = self.engines.get(&abort.engine)?;
                self.end(abort.engine, async move { engine.abort().await });
            }
            Command::MeasurePings(pings) => {
                let engine = self.engines.get(&pings.engine)?;
                self.measure(pings.measure, measures::pings(engine, pings.count));
            }
            Command::MeasureStreams(streams) => {
                let engine = self.engines.get(&streams.engine)?;
                let measure = Streams::new(&streams.method, streams.params, streams.streams)?;
                self.measure(streams.measure, measure.measure(engine));
            }
            Command::MeasureTimer(wanted) => self.measure_timer(wanted)?,
        }
        Ok(())
    }

    /// Closes all engines; what is being opened is given up.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
        let engines: Vec<Engine> = self
            .engines
            .lock()
            .drain()
            .map(|(_, engine)| engine)
            .collect();
        let mut closing = JoinSet::new();
        for engine in engines {
            closing.spawn(async move { engine.close().await });
        }
        closing.join_all().await;
    }

    fn open(&mut self, name: String, opening: Opening) {
        let (voice, engines) = (self.voice.clone(), self.engines.clone());
        self.tasks.spawn(async move {
            match opening.await {
                Ok(engine) => {
                    let said = opened(name.clone(), &engine);
                    engines.lock().insert(name, engine);
                    voice.say(&said);
                }
                Err(error) => voice.say(&not_opened(name, error)),
            }
        });
    }

    fn end(&mut self, engine: String, ending: impl Future<Output = ()> + Send + 'static) {
        let voice = self.voice.clone();
        self.tasks.spawn(async move {
            ending.await;
            voice.say(&Said::Closed { engine });
        });
    }

    fn measure(
        &mut self,
        measure: String,
        measuring: impl Future<Output = Result<Value, Error>> + Send + 'static,
    ) {
        let voice = self.voice.clone();
        self.tasks.spawn(async move {
            let figures = measuring
                .await
                .unwrap_or_else(|error| json!({"error": Failure::from(error)}));
            voice.say(&Said::Measured { measure, figures });
        });
    }

    fn measure_timer(&mut self, wanted: MeasureTimer) -> Result<(), String> {
        if !(wanted.hertz > 0.0 && wanted.seconds > 0.0) {
            return Err("a timer needs a frequency and a time above 0".into());
        }
        let measuring = async move { Ok(timer::measure(wanted.hertz, wanted.seconds).await) };
        self.measure(wanted.measure, measuring);
        Ok(())
    }
}

fn opened(name: String, engine: &Engine) -> Said {
    match (engine.welcome(), engine.pid()) {
        (Ok(welcome), Ok(pid)) => Said::Opened {
            engine: name,
            pid,
            boot_id: welcome.boot_id.clone(),
            version: welcome.version.clone(),
            protocol: welcome.protocol,
            methods: welcome.methods.clone(),
            capabilities: welcome.capabilities.clone(),
        },
        // It was lost again at once.
        (Err(error), _) | (_, Err(error)) => not_opened(name, error),
    }
}

fn not_opened(engine: String, error: Error) -> Said {
    Said::NotOpened {
        engine,
        error: error.into(),
    }
}

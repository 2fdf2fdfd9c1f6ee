//! From a command to an engine that is being opened.

use std::pin::Pin;
use std::time::Duration;

use llm_sidecar_client::{Engine, Error, Liveness, Notice, Notification, RestartPolicy, Tools};
use serde_json::Value;

use crate::command::{Open, Restart, ToolPlan};
use crate::handlers::Handlers;
use crate::value::Wire;
use crate::voice::{NoticeDetails, Said, Voice};

pub type Opening = Pin<Box<dyn Future<Output = Result<Engine, Error>> + Send>>;

/// What engines of both origins are told; the builders share no trait.
macro_rules! with_terms {
    ($builder:expr, $open:expr, $voice:expr, $handlers:expr) => {{
        let mut builder = $builder;
        let (notices, notifications) = ($voice.clone(), $voice.clone());
        let (of_notices, of_notifications) = ($open.engine.clone(), $open.engine.clone());
        builder = builder
            .on_notice(move |notice| say_notice(&notices, &of_notices, notice))
            .on_notification(move |notification| {
                say_notification(&notifications, &of_notifications, &notification);
            });
        if let Some(time) = $open.handshake_timeout_ms {
            builder = builder.handshake_timeout(Duration::from_millis(time));
        }
        if let Some(pings) = &$open.liveness {
            let mut liveness = Liveness::default();
            if let Some(time) = pings.ping_every_ms {
                liveness.ping = Duration::from_millis(time);
            }
            if let Some(time) = pings.frozen_after_ms {
                liveness.frozen = Duration::from_millis(time);
            }
            builder = builder.liveness(liveness);
        }
        for plan in $open.handlers {
            let (handlers, method) = ($handlers.clone(), plan.method.clone());
            builder = builder.on_any_request(&plan.method, move |params: Wire| {
                let (handlers, method) = (handlers.clone(), method.clone());
                let behaviour = plan.behaviour.clone();
                async move {
                    let answer = handlers.run(behaviour, &method, None, params.0).await;
                    answer.map(Wire)
                }
            });
        }
        if !$open.tools.is_empty() {
            builder = builder.tools(tools($open.tools, $handlers));
        }
        builder.into_future()
    }};
}

/// Starts an engine of one's own.
pub fn spawn(open: Open, voice: &Voice, handlers: &Handlers) -> Result<Opening, String> {
    let [program, arguments @ ..] = open.command.as_slice() else {
        return Err("spawn needs a command".into());
    };
    let mut spawn = Engine::spawn(program, open.app_id.as_str()).args(arguments);
    for (name, value) in &open.options {
        spawn = spawn.option(name, value.clone());
    }
    if let Some(environment) = &open.environment {
        spawn = spawn.environment(environment);
    }
    match open.restart {
        None | Some(Restart::Wanted(true)) => {}
        Some(Restart::Wanted(false)) => spawn = spawn.restart(RestartPolicy::NEVER),
        Some(Restart::Policy {
            max_restarts,
            within_ms,
        }) => {
            spawn = spawn.restart(RestartPolicy {
                max_restarts,
                within: Duration::from_millis(within_ms),
            });
        }
    }
    let spawn = spawn.on_log(|line| eprintln!("{line}"));
    Ok(with_terms!(spawn, open, voice, handlers))
}

/// Attaches to an engine.
pub fn connect(open: Open, voice: &Voice, handlers: &Handlers) -> Result<Opening, String> {
    let Some(file) = &open.connection_file else {
        return Err("connect needs a connection_file".into());
    };
    Ok(with_terms!(Engine::connect_to(file), open, voice, handlers))
}

fn tools(plans: Vec<ToolPlan>, handlers: &Handlers) -> Tools {
    plans.into_iter().fold(Tools::new(), |tools, plan| {
        let (handlers, name) = (handlers.clone(), plan.name.clone());
        let description = format!("The driver's {name}");
        tools.with_schema(plan.name, description, plan.parameters, move |arguments| {
            let (handlers, tool) = (handlers.clone(), name.clone());
            let behaviour = plan.behaviour.clone();
            async move {
                let arguments = Value::Object(arguments);
                handlers
                    .run(behaviour, "host.call_tool", Some(tool), arguments)
                    .await
            }
        })
    })
}

fn say_notice(voice: &Voice, engine: &str, notice: Notice) {
    let nothing = NoticeDetails::default;
    let (kind, about) = match notice {
        Notice::Frozen(silent) => (
            "frozen",
            NoticeDetails {
                silent_ms: Some(silent.as_millis() as u64),
                ..nothing()
            },
        ),
        Notice::Thawed => ("recovered", nothing()),
        Notice::Crashed(lost) => (
            "lost",
            NoticeDetails {
                error: Some(Error::from(lost).into()),
                ..nothing()
            },
        ),
        Notice::Restarted { pid } => (
            "restarted",
            NoticeDetails {
                pid: Some(pid),
                ..nothing()
            },
        ),
        Notice::GaveUp(lost) => (
            "gave_up",
            NoticeDetails {
                error: Some(Error::from(lost).into()),
                ..nothing()
            },
        ),
        _ => return,
    };
    let engine = engine.to_owned();
    voice.say(&Said::Notice {
        engine,
        kind,
        about,
    });
}

fn say_notification(voice: &Voice, engine: &str, notification: &Notification) {
    // Other clients' listeners ask for notifications by their names.
    if matches!(notification, Notification::Unknown { .. }) {
        return;
    }
    let mut whole = serde_json::to_value(notification).expect("JSON with string keys");
    voice.say(&Said::Notification {
        engine: engine.to_owned(),
        name: whole["name"].as_str().unwrap_or_default().to_owned(),
        body: whole["params"].take(),
    });
}

//! Functions of this program that a model may call.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host_requests::{Handler, HandlerError};
use crate::types::{ChatFunction, ChatTool, JsonObject};

type Running = Pin<Box<dyn Future<Output = Result<Value, HandlerError>> + Send>>;
type Function = Arc<dyn Fn(Value) -> Running + Send + Sync>;

/// Tools by name.
///
/// ```
/// use llm_sidecar_client::{HandlerError, Tools};
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Add {
///     a: f64,
///     b: f64,
/// }
///
/// let tools = Tools::new().with("add", "Adds two numbers", |add: Add| async move {
///     Ok::<_, HandlerError>(add.a + add.b)
/// });
/// let schema = tools.definitions()[0].function.parameters.clone().unwrap();
/// assert_eq!(schema["properties"]["a"]["type"], "number");
/// ```
#[derive(Clone, Default)]
pub struct Tools(BTreeMap<String, (ChatTool, Function)>);

impl Tools {
    /// No tools yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function. Its arguments' schema tells the model how to call it; arguments that do not
    /// fit, and what it fails with, go back to the model.
    #[must_use]
    pub fn with<P, R, F, A>(
        mut self,
        name: impl Into<String>,
        description: impl Into<String>,
        function: F,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema,
        R: Serialize,
        F: Fn(P) -> A + Send + Sync + 'static,
        A: Future<Output = Result<R, HandlerError>> + Send + 'static,
    {
        let name = name.into();
        let tool = ChatTool {
            function: ChatFunction {
                name: name.clone(),
                description: Some(description.into()),
                parameters: Some(schema_of::<P>()),
                strict: None,
            },
        };
        let function: Function = Arc::new(move |arguments| {
            let running = P::deserialize(arguments).map(&function);
            Box::pin(async move {
                let result = match running {
                    Ok(running) => running.await?,
                    Err(error) => {
                        return Err(HandlerError::new(
                            "invalid_params",
                            format!("arguments: {error}"),
                        ));
                    }
                };
                Ok(serde_json::to_value(result)?)
            })
        });
        self.0.insert(name, (tool, function));
        self
    }

    /// What a request says about them, for `ChatCreate::tools`.
    pub fn definitions(&self) -> Vec<ChatTool> {
        self.0.values().map(|(tool, _)| tool.clone()).collect()
    }

    pub(crate) fn into_handler(self) -> Handler {
        Handler::new(move |call: ToolCall| {
            let running = match self.0.get(&call.name) {
                Some((_, function)) => Ok(function(call.arguments)),
                None => Err(HandlerError::new(
                    "not_found",
                    format!("there is no tool {:?} here", call.name),
                )),
            };
            async move { running?.await }
        })
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Params of `host.call_tool`.
#[derive(Deserialize)]
struct ToolCall {
    name: String,
    #[serde(default)]
    arguments: Value,
}

fn schema_of<P: JsonSchema>() -> JsonObject {
    let mut schema = schemars::schema_for!(P);
    // A tool's parameters are part of a document and say nothing about its dialect.
    schema.remove("$schema");
    match schema.to_value() {
        Value::Object(fields) => fields,
        _ => JsonObject::new(),
    }
}

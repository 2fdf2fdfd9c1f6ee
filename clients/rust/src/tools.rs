//! Functions of this program that a model may call.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::host_requests::HandlerError;
use crate::types::{ChatFunction, ChatTool, HostCallTool, JsonObject, ToolOutput};

type Running = Pin<Box<dyn Future<Output = Result<String, HandlerError>> + Send>>;
type Function = Arc<dyn Fn(JsonObject) -> Running + Send + Sync>;

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
    /// fit, and what it fails with, are told to the model, and the chat goes on.
    ///
    /// A result that is a string goes to the model as it is, others as JSON.
    #[must_use]
    pub fn with<P, R, F, A>(
        self,
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
        self.with_schema(name, description, schema_of::<P>(), move |arguments| {
            let running = P::deserialize(Value::Object(arguments)).map(&function);
            async move { running?.await }
        })
    }

    /// Adds a function whose arguments' schema is known only when the program runs. They are handed
    /// over as the model has written them.
    ///
    /// ```
    /// use llm_sidecar_client::{HandlerError, Tools};
    /// use serde_json::{Value, json};
    ///
    /// let schema = json!({"type": "object", "properties": {"town": {"type": "string"}}});
    /// let schema = schema.as_object().cloned().unwrap_or_default();
    /// let tools = Tools::new().with_schema("weather", "Tells the weather", schema, |asked| async move {
    ///     let town = asked.get("town").and_then(Value::as_str).unwrap_or("the mountains");
    ///     Ok::<_, HandlerError>(format!("In {town} it rains."))
    /// });
    /// ```
    #[must_use]
    pub fn with_schema<R, F, A>(
        mut self,
        name: impl Into<String>,
        description: impl Into<String>,
        schema: JsonObject,
        function: F,
    ) -> Self
    where
        R: Serialize,
        F: Fn(JsonObject) -> A + Send + Sync + 'static,
        A: Future<Output = Result<R, HandlerError>> + Send + 'static,
    {
        let name = name.into();
        let definition = ChatFunction::new(name.clone())
            .description(description)
            .parameters(schema);
        let function: Function = Arc::new(move |arguments| {
            let running = function(arguments);
            Box::pin(async move {
                match serde_json::to_value(running.await?)? {
                    Value::String(text) => Ok(text),
                    result => Ok(result.to_string()),
                }
            })
        });
        self.0.insert(name, (ChatTool::new(definition), function));
        self
    }

    /// What a request says about them, for `ChatCreate::tools`.
    pub fn definitions(&self) -> Vec<ChatTool> {
        self.0.values().map(|(tool, _)| tool.clone()).collect()
    }

    /// Runs the tool that is called. A failure of the tool is an output, too.
    pub(crate) fn call(
        &self,
        call: HostCallTool,
    ) -> impl Future<Output = Result<ToolOutput, HandlerError>> + Send + use<> {
        let function = self.0.get(&call.name).map(|(_, function)| function.clone());
        async move {
            let Some(function) = function else {
                let message = format!("there is no tool {:?} here", call.name);
                return Err(HandlerError::new("not_found", message));
            };
            Ok(match function(call.arguments).await {
                Ok(output) => ToolOutput::new(output),
                Err(error) => ToolOutput::new(error.message()).is_error(true),
            })
        }
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

fn schema_of<P: JsonSchema>() -> JsonObject {
    // A tool's parameters are part of a document and say nothing about its dialect.
    let settings = SchemaSettings::default().with(|settings| settings.meta_schema = None);
    let schema = settings.into_generator().into_root_schema_for::<P>();
    match schema.to_value() {
        Value::Object(fields) => fields,
        _ => JsonObject::new(),
    }
}

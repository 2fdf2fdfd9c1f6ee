//! models.*: the models on this computer and in memory.

use serde::{Deserialize, Serialize};

use super::LoadingEvent;
use super::macros::{open_enum, tagged_union};

open_enum! {
    /// What a model in memory is doing.
    pub enum ModelState {
        /// On its way into memory.
        Loading = "loading",
        /// It can be used.
        Ready = "ready",
        /// On its way out of memory.
        Unloading = "unloading",
        /// It could not be loaded.
        Error = "error",
    }
}

/// A model that can be loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelSummary {
    /// Its name.
    pub name: String,
    /// Where it lies.
    pub path: String,
    /// Where it was found.
    pub origin: String,
    /// Its format.
    pub file_format: String,
    /// Its size.
    pub file_bytes: i64,
    /// Whether it is in memory.
    pub loaded: bool,
}

/// Every model found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelList {
    /// The models.
    pub models: Vec<ModelSummary>,
}

/// A model that is in memory, on its way there, or failed to get there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: ModelState,
    /// Why it could not be loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Instruction set of the native executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_path: Option<String>,
    /// How its weights are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// Tokens it can hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_length: Option<i64>,
    /// How many weights it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<i64>,
    /// Requests that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<i64>,
    /// Requests that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<i64>,
}

/// The models this process has loaded or tried to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelStatusList {
    /// The models.
    pub models: Vec<ModelStatus>,
}

/// Bring a model into memory; converts it first when that was never done on this computer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelsLoad {
    /// Its name.
    pub model: String,
}

impl ModelsLoad {
    /// Params with what must be given.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
        }
    }
}

/// Take a model out of memory; its running requests end as cancelled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelsUnload {
    /// Its name.
    pub model: String,
}

impl ModelsUnload {
    /// Params with what must be given.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
        }
    }
}

tagged_union! {
    /// What loading a model tells on its way.
    pub enum ModelsLoadEvent by "type" {
        /// The model is being loaded.
        Loading(LoadingEvent) = "loading",
    }
}

//! A request that streams: its events, then its result.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::error::Error;
use crate::request::Request;
use crate::types::{ChatCompletion, ChatEvent, GenerateEvent, Generation};

/// A running request. Dropping it, at any time, cancels it.
///
/// It is a [`Stream`] of events; `next` does without `StreamExt`. After the last event comes the
/// error that ended the request, if one did.
///
/// ```no_run
/// # use llm_sidecar_client::{Engine, types::{ChatCreate, ChatEvent, UserMessage}};
/// # async fn example(engine: Engine) -> Result<(), llm_sidecar_client::Error> {
/// let question = ChatCreate::new([UserMessage::new("Hello")]);
/// let mut stream = engine.chat().stream(&question);
/// while let Some(event) = stream.next().await {
///     match event? {
///         ChatEvent::Loading(loading) => println!("loading: {:.0} %", loading.fraction * 100.0),
///         ChatEvent::Prefill(prefill) => println!("reading: {}/{}", prefill.done, prefill.total),
///         ChatEvent::Chunk(event) => println!("{:?}", event.chunk),
///         _ => {}
///     }
/// }
/// println!("{} tokens", stream.result().await?.usage.completion_tokens);
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a stream cancels its request"]
pub struct EventStream<E, R> {
    /// What was sent, or why it could not be.
    request: Result<Request, Option<Error>>,
    types: PhantomData<fn() -> (E, R)>,
}

/// A chat completion on its way.
pub type ChatStream = EventStream<ChatEvent, ChatCompletion>;

/// A generation on its way.
pub type GenerateStream = EventStream<GenerateEvent, Generation>;

impl<E: DeserializeOwned, R: DeserializeOwned> EventStream<E, R> {
    pub(crate) fn new(request: Result<Request, Error>) -> Self {
        Self {
            request: request.map_err(Some),
            types: PhantomData,
        }
    }

    /// The next event, or the error that ended the request; `None` after the last.
    ///
    /// Nothing is lost when this future is dropped.
    pub async fn next(&mut self) -> Option<Result<E, Error>> {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// The complete result, also of events that were not read, which are thrown away.
    pub async fn result(self) -> Result<R, Error> {
        match self.request {
            Ok(mut request) => codec::read(&request.result().await?),
            Err(error) => Err(error.unwrap_or_else(|| Error::invalid_message("it was never sent"))),
        }
    }

    /// Tells the engine to stop. `result` then gives [`Error::Cancelled`], with what there was by then.
    pub fn cancel(&mut self) {
        if let Ok(request) = &mut self.request {
            request.cancel();
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<E, Error>>> {
        Poll::Ready(match &mut self.request {
            Ok(request) => ready!(request.poll_event(context)).map(|event| codec::read(&event?)),
            Err(error) => error.take().map(Err),
        })
    }
}

impl ChatStream {
    /// The next piece of the first choice's text; `None` after the last.
    pub async fn next_text(&mut self) -> Option<Result<String, Error>> {
        while let Some(event) = self.next().await {
            let chunk = match event {
                Ok(ChatEvent::Chunk(event)) => event.chunk,
                Ok(_) => continue,
                Err(error) => return Some(Err(error)),
            };
            let first = chunk.choices.into_iter().find(|choice| choice.index == 0);
            if let Some(text) = first.and_then(|choice| choice.delta.content)
                && !text.is_empty()
            {
                return Some(Ok(text));
            }
        }
        None
    }
}

impl GenerateStream {
    /// The next piece of the first choice's text; `None` after the last.
    pub async fn next_text(&mut self) -> Option<Result<String, Error>> {
        while let Some(event) = self.next().await {
            match event {
                Ok(GenerateEvent::Chunk(chunk)) if chunk.choice == 0 && !chunk.text.is_empty() => {
                    return Some(Ok(chunk.text));
                }
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

impl<E: DeserializeOwned, R: DeserializeOwned> Stream for EventStream<E, R> {
    type Item = Result<E, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(context)
    }
}

impl<E, R> fmt::Debug for EventStream<E, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EventStream")
            .field("request", &self.request)
            .finish()
    }
}

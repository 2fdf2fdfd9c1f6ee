//! A request that was sent, until its answer has come.

use std::time::Duration;

use bytes::Bytes;

use crate::codec;
use crate::envelope::{Header, Kind};
use crate::error::Error;
use crate::request::{Order, Outcome};
use crate::types::{ErrorBody, Limits};

/// What is kept of it.
#[derive(Debug)]
pub(crate) struct Pending {
    pub order: Order,
    /// Events that have come.
    pub received: u64,
    pub cancelled: bool,
}

impl Pending {
    pub(crate) fn new(order: Order) -> Self {
        Self {
            order,
            received: 0,
            cancelled: false,
        }
    }

    /// How a terminal message ends it.
    pub(crate) fn outcome(&self, header: &Header, body: &Bytes) -> Outcome {
        let method = &self.order.method;
        if let Some(sent) = header.s
            && sent != self.received
            && !self.cancelled
        {
            return Err(Error::invalid_message(format!(
                "{method}: {sent} events were sent, {} have arrived",
                self.received
            )));
        }
        let unreadable = |error: Error| {
            Error::invalid_message(format!(
                "{method}: the engine's answer cannot be read: {error}"
            ))
        };
        codec::check(body, &Limits::default()).map_err(unreadable)?;
        match header.k {
            Kind::Result => Ok(body.clone()),
            _ => Err(codec::read::<ErrorBody>(body).map_err(unreadable)?.into()),
        }
    }
}

impl Order {
    /// The header it goes out under.
    pub(crate) fn header(&self, id: u64) -> Header {
        let terms = &self.terms;
        Header {
            m: Some(self.method.to_string()),
            ttl: terms.deadline.map(time_to_live),
            idem: terms.idempotency_key.as_deref().map(str::to_owned),
            credit: terms.credit.map(u64::from),
            ..Header::with_id(Kind::Request, id)
        }
    }
}

/// A deadline as headers say it.
fn time_to_live(deadline: Duration) -> u64 {
    deadline.as_millis().min(u128::from(codec::MAX_ID)) as u64
}

//! The transport in pure Rust, on omq.

use omq_tokio::options::ReconnectPolicy;
use omq_tokio::{
    CurveKeypair, CurvePublicKey, CurveSecretKey, DisconnectReason, Message, MonitorEvent,
    MonitorRecvError, MonitorStream, Options, Socket, SocketType,
};
use tokio::sync::mpsc;

use super::{
    CUT, Door, Frames, HANDSHAKE_FAILED, INBOX_MESSAGES, Incoming, KEY_REFUSED, KeyPair, LINGER,
    Link, NOBODY, RECONNECT, Transport, not_connectable,
};
use crate::liveness::Liveness;
use crate::types::Limits;

/// ZeroMQ in pure Rust, on the caller's runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct OmqTransport;

impl Transport for OmqTransport {
    fn generate_keys(&self) -> std::io::Result<KeyPair> {
        let keys = CurveKeypair::generate();
        Ok(KeyPair {
            public: keys.public.to_z85(),
            secret: keys.secret.to_z85(),
        })
    }

    fn connect(&self, door: &Door, liveness: &Liveness) -> Link {
        let (outbox, outgoing) = mpsc::unbounded_channel();
        let (incoming, inbox) = mpsc::channel(INBOX_MESSAGES);
        tokio::spawn(carry(door.clone(), *liveness, outgoing, incoming));
        Link { outbox, inbox }
    }
}

async fn carry(
    door: Door,
    liveness: Liveness,
    outgoing: mpsc::UnboundedReceiver<Frames>,
    incoming: mpsc::Sender<Incoming>,
) {
    let ended = match open(&door, &liveness).await {
        Ok((socket, monitor)) => {
            let ended = pump(&socket, monitor, outgoing, &incoming).await;
            // Its error would say that the socket was closed already.
            let _ = socket.close().await;
            ended
        }
        Err(error) => Some(not_connectable(&door.endpoint, error)),
    };
    if let Some(reason) = ended {
        // Nobody listens any more when this side closes at the same time.
        let _ = incoming.send(Incoming::Ended(reason)).await;
    }
}

async fn open(door: &Door, liveness: &Liveness) -> omq_tokio::Result<(Socket, MonitorStream)> {
    let keys = CurveKeypair {
        public: CurvePublicKey::from_z85(&door.keys.public)?,
        secret: CurveSecretKey::from_z85(&door.keys.secret)?,
    };
    let options = Options::default()
        .curve_client(keys, CurvePublicKey::from_z85(&door.server_key)?)
        .reconnect(ReconnectPolicy::Fixed(RECONNECT))
        .linger(LINGER)
        // Both frames of a message count, and what omq adds for each.
        .max_message_size(2 * Limits::default().frame_bytes as usize)
        .heartbeat_interval(liveness.heartbeat)
        .heartbeat_timeout(liveness.heartbeat_timeout);
    let socket = Socket::try_new(SocketType::Dealer, options)?;
    let monitor = socket.monitor();
    socket.connect(door.endpoint.as_str()).await?;
    Ok((socket, monitor))
}

/// Carries messages until either side ends the connection; why, when it was not this side.
async fn pump(
    socket: &Socket,
    monitor: MonitorStream,
    mut outgoing: mpsc::UnboundedReceiver<Frames>,
    incoming: &mpsc::Sender<Incoming>,
) -> Option<String> {
    let sending = async {
        while let Some(frames) = outgoing.recv().await {
            if socket.send(Message::multipart(frames)).await.is_err() {
                return;
            }
        }
    };
    let receiving = async {
        // A place is taken first: a message that was received is never held when this is dropped.
        while let Ok(place) = incoming.reserve().await {
            match socket.recv().await {
                Ok(message) => place.send(Incoming::Message(frames_of(&message))),
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = sending => None,
        () = receiving => None,
        reason = ending(monitor) => {
            while let Ok(message) = socket.try_recv() {
                incoming.send(Incoming::Message(frames_of(&message))).await.ok()?;
            }
            Some(reason)
        }
    }
}

/// Waits for the connection's end. omq tells it as the delay before another attempt.
async fn ending(mut monitor: MonitorStream) -> String {
    let mut reached = false;
    let mut failure = None;
    loop {
        match monitor.recv().await {
            Ok(MonitorEvent::Connected { .. }) => reached = true,
            Ok(MonitorEvent::HandshakeFailed { reason, .. }) => failure = Some(reason),
            Ok(MonitorEvent::Disconnected { reason, .. }) => {
                return match reason {
                    DisconnectReason::Error(error) => format!("{CUT}: {error}"),
                    _ => CUT.into(),
                };
            }
            Ok(MonitorEvent::ConnectStopped { reason, .. }) => {
                return match reason {
                    DisconnectReason::HandshakeRefused(refusal)
                        if refusal.status_code().is_some() =>
                    {
                        KEY_REFUSED.into()
                    }
                    reason => format!("{HANDSHAKE_FAILED}: {reason:?}"),
                };
            }
            Ok(MonitorEvent::ConnectDelayed { .. }) => {
                return match failure {
                    Some(failure) => format!("{HANDSHAKE_FAILED}: {failure}"),
                    None if reached => HANDSHAKE_FAILED.into(),
                    None => NOBODY.into(),
                };
            }
            Ok(MonitorEvent::Closed) | Err(MonitorRecvError::Closed) => return CUT.into(),
            Ok(_) | Err(_) => {}
        }
    }
}

fn frames_of(message: &Message) -> Frames {
    (0..message.len())
        .filter_map(|index| message.part_bytes(index))
        .collect()
}

//! The transport on the system's libzmq. A thread of its own holds the sockets, which are no
//! friends of tasks that move between threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as thread_mpsc;

use bytes::Bytes;
use tokio::sync::mpsc;
use zmq::{Context, DONTWAIT, POLLIN, POLLOUT, Socket};

use super::{
    CUT, Door, Frames, HANDSHAKE_FAILED, INBOX_MESSAGES, Incoming, KEY_REFUSED, KeyPair, LINGER,
    Link, NOBODY, RECONNECT, Transport, not_connectable,
};
use crate::liveness::Liveness;
use crate::types::Limits;

/// ZeroMQ by the system's libzmq.
#[derive(Debug, Clone, Copy, Default)]
pub struct ZmqTransport;

/// zmq_socket_monitor(3): what ends a connection, or keeps it from being made.
const ENDINGS: [(u16, &str); 5] = [
    (0x0080, NOBODY),
    (0x0200, CUT),
    (0x0800, HANDSHAKE_FAILED),
    (0x2000, HANDSHAKE_FAILED),
    (0x4000, KEY_REFUSED),
];

impl Transport for ZmqTransport {
    fn generate_keys(&self) -> std::io::Result<KeyPair> {
        let keys = zmq::CurveKeyPair::new()?;
        let z85 = |key: &[u8]| zmq::z85_encode(key).map_err(std::io::Error::other);
        Ok(KeyPair {
            public: z85(&keys.public_key)?,
            secret: z85(&keys.secret_key)?,
        })
    }

    fn connect(&self, door: &Door, liveness: &Liveness) -> Link {
        let (outbox, outgoing) = mpsc::unbounded_channel();
        let (incoming, inbox) = mpsc::channel(INBOX_MESSAGES);
        match Sockets::open(door, liveness) {
            Ok((sockets, bell)) => {
                let (to_thread, from_tasks) = thread_mpsc::channel();
                tokio::spawn(forward(outgoing, to_thread, bell));
                std::thread::spawn(move || sockets.carry(&from_tasks, &incoming));
            }
            Err(error) => {
                let reason = not_connectable(&door.endpoint, error);
                // There is room: nothing else was put in.
                let _ = incoming.try_send(Incoming::Ended(reason));
            }
        }
        Link { outbox, inbox }
    }
}

/// Hands messages to the thread and rings; dropping both ends tells it to close.
async fn forward(
    mut outgoing: mpsc::UnboundedReceiver<Frames>,
    to_thread: thread_mpsc::Sender<Frames>,
    bell: Socket,
) {
    while let Some(frames) = outgoing.recv().await {
        if to_thread.send(frames).is_err() {
            return;
        }
        // A bell that is full of rings is heard.
        let _ = bell.send("", DONTWAIT);
    }
    drop(to_thread);
    let _ = bell.send("", DONTWAIT);
}

struct Sockets {
    dealer: Socket,
    monitor: Socket,
    bell: Socket,
}

impl Sockets {
    fn open(door: &Door, liveness: &Liveness) -> Result<(Self, Socket), String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let context = Context::new();
        let open = || -> zmq::Result<(Self, Socket)> {
            let dealer = context.socket(zmq::DEALER)?;
            configure(&dealer, liveness)?;
            let events = ENDINGS
                .iter()
                .fold(0, |all, (event, _)| all | i32::from(*event));
            dealer.monitor(&format!("inproc://monitor-{number}"), events)?;
            let monitor = context.socket(zmq::PAIR)?;
            monitor.connect(&format!("inproc://monitor-{number}"))?;
            let bell = context.socket(zmq::PAIR)?;
            bell.bind(&format!("inproc://bell-{number}"))?;
            let ringer = context.socket(zmq::PAIR)?;
            ringer.set_linger(0)?;
            ringer.connect(&format!("inproc://bell-{number}"))?;
            let sockets = Self {
                dealer,
                monitor,
                bell,
            };
            Ok((sockets, ringer))
        };
        let key = |text: &str| zmq::z85_decode(text).map_err(|_| format!("{text:?} is no z85 key"));
        let (server, public) = (key(&door.server_key)?, key(&door.keys.public)?);
        let secret =
            zmq::z85_decode(&door.keys.secret).map_err(|_| "the secret key is no z85 key")?;
        if door.endpoint.contains('\0') {
            return Err("an address holds no NUL".into());
        }
        let (sockets, ringer) = open().map_err(|error| error.to_string())?;
        let connect = || -> zmq::Result<()> {
            sockets.dealer.set_curve_serverkey(&server)?;
            sockets.dealer.set_curve_publickey(&public)?;
            sockets.dealer.set_curve_secretkey(&secret)?;
            sockets.dealer.connect(&door.endpoint)
        };
        connect().map_err(|error| error.to_string())?;
        Ok((sockets, ringer))
    }

    /// Carries messages until either side ends the connection.
    fn carry(self, outgoing: &thread_mpsc::Receiver<Frames>, incoming: &mpsc::Sender<Incoming>) {
        let mut unsent: Option<Frames> = None;
        loop {
            let wanted = if unsent.is_some() {
                POLLIN | POLLOUT
            } else {
                POLLIN
            };
            let mut items = [
                self.dealer.as_poll_item(wanted),
                self.monitor.as_poll_item(POLLIN),
                self.bell.as_poll_item(POLLIN),
            ];
            if zmq::poll(&mut items, -1).is_err() {
                return;
            }
            while self.bell.recv_bytes(DONTWAIT).is_ok() {}
            if !self.receive(incoming) || !self.send(outgoing, &mut unsent) {
                return;
            }
            if let Some(reason) = self.ending() {
                self.receive(incoming);
                // Nobody listens any more when this side closes at the same time.
                let _ = incoming.blocking_send(Incoming::Ended(reason.into()));
                return;
            }
        }
    }

    /// Whether the receiver still listens.
    fn receive(&self, incoming: &mpsc::Sender<Incoming>) -> bool {
        while let Ok(frames) = self.dealer.recv_multipart(DONTWAIT) {
            let frames = frames.into_iter().map(Bytes::from).collect();
            if incoming.blocking_send(Incoming::Message(frames)).is_err() {
                return false;
            }
        }
        true
    }

    /// Whether the sender still lives.
    fn send(&self, outgoing: &thread_mpsc::Receiver<Frames>, unsent: &mut Option<Frames>) -> bool {
        loop {
            let frames = match unsent.take().map_or_else(|| outgoing.try_recv(), Ok) {
                Ok(frames) => frames,
                Err(thread_mpsc::TryRecvError::Empty) => return true,
                Err(thread_mpsc::TryRecvError::Disconnected) => return false,
            };
            let parts = frames.iter().map(|frame| frame.as_ref());
            if self.dealer.send_multipart(parts, DONTWAIT).is_err() {
                *unsent = Some(frames);
                return true;
            }
        }
    }

    fn ending(&self) -> Option<&'static str> {
        let frames = self.monitor.recv_multipart(DONTWAIT).ok()?;
        let event = frames.first()?.first_chunk::<2>()?;
        let event = u16::from_ne_bytes(*event);
        let (_, reason) = ENDINGS.iter().find(|(ending, _)| *ending == event)?;
        Some(reason)
    }
}

fn configure(dealer: &Socket, liveness: &Liveness) -> zmq::Result<()> {
    let milliseconds = |time: std::time::Duration| time.as_millis().min(i32::MAX as u128) as i32;
    dealer.set_reconnect_ivl(milliseconds(RECONNECT))?;
    dealer.set_linger(milliseconds(LINGER))?;
    dealer.set_maxmsgsize(Limits::default().frame_bytes as i64)?;
    dealer.set_heartbeat_ivl(milliseconds(liveness.heartbeat))?;
    dealer.set_heartbeat_timeout(milliseconds(liveness.heartbeat_timeout))?;
    dealer.set_heartbeat_ttl(0)
}

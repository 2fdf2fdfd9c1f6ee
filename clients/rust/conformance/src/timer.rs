//! Whether the program's main loop keeps time while the client works on it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

/// Ticks so often for so long. A tick is missed when it comes more than one period late.
pub async fn measure(hertz: f64, seconds: f64) -> Value {
    let period = Duration::from_secs_f64(1.0 / hertz);
    let ticks = (hertz * seconds).round() as u32;
    let began = Instant::now();
    let mut missed = 0;
    for tick in 1..=ticks {
        let due = began + period * tick;
        sleep_until(due).await;
        if due.elapsed() > period {
            missed += 1;
        }
    }
    json!({"ticks": ticks, "missed": missed})
}

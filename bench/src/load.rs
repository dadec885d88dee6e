//! Load, closed-loop and open-loop, and how long its calls took.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long calls took.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time, in milliseconds, within which `share` of the calls were answered.
    pub(crate) fn within(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let place = (self.0.len() as f64 * share) as usize;
        self.0.get(place.min(self.0.len().saturating_sub(1))).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

/// How long load goes on before it counts, and while it does.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// Closed loop: each of `clients` calls again as soon as it is answered. Calls answered a second, and their times.
pub(crate) async fn closed<F, Fut>(clients: usize, span: Span, call: F) -> (f64, Times)
where
    F: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    let call = Arc::new(call);
    let begin = Instant::now() + span.warm_up;
    let end = begin + span.measured;
    let mut running = JoinSet::new();
    for client in 0..clients {
        let call = Arc::clone(&call);
        running.spawn(async move {
            let mut times = Times::default();
            loop {
                let started = Instant::now();
                if started >= end {
                    return times;
                }
                call(client).await;
                let answered = Instant::now();
                if (begin..end).contains(&answered) {
                    times.push(answered - started);
                }
            }
        });
    }
    let times = joined(running).await;
    (times.len() as f64 / span.measured.as_secs_f64(), times)
}

/// Open loop: `count` calls, one every `interval`, whether those before are answered or not. `call` is given its number
/// and when it was meant to be sent, from which its time counts.
pub(crate) async fn open<F, Fut>(count: u32, interval: Duration, call: F) -> Times
where
    F: Fn(u32, Instant) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let begin = Instant::now() + interval;
    let mut running = JoinSet::new();
    for number in 0..count {
        let intended = begin + interval * number;
        tokio::time::sleep_until(intended).await;
        let call = call(number, intended);
        running.spawn(async move {
            call.await;
            let mut times = Times::default();
            times.push(intended.elapsed());
            times
        });
    }
    joined(running).await
}

async fn joined(mut running: JoinSet<Times>) -> Times {
    let mut all = Times::default();
    while let Some(times) = running.join_next().await {
        all.extend(times.expect("the client lasts"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_calls_are_answered_within_a_time() {
        let mut times = Times((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!((times.within(0.5), times.within(0.99), times.within(1.0)), (51.0, 100.0, 100.0));
        assert!(Times::default().within(0.5).is_nan());
    }
}

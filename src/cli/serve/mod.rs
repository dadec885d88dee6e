//! `tollgate serve`: runs the server until SIGINT or SIGTERM.

mod args;
#[cfg(test)]
mod tests;

use tokio::sync::oneshot;

pub(super) use self::args::ServeArgs;
use super::remote::print;
use super::{Failure, stop_signal};
use crate::server::{self, Listeners, Serving};
use crate::settings::{DatabaseSettings, LogFormat};
use crate::store::DatabaseUrl;

/// Who is told where the server is.
struct Greeting {
    /// People on a terminal, as the lines of [`START`](crate::telemetry::START) tell programs.
    people: bool,
    /// A suite of tests, which reads standard output.
    tests: bool,
    /// Where the data is.
    data: String,
}

impl Greeting {
    /// Tells them, once calls are answered.
    async fn say(self, serving: oneshot::Receiver<Serving>) {
        let Self { people, tests, data } = self;
        let Ok(Serving { address, tls, virgin }) = serving.await else { return };
        let scheme = if tls { "https" } else { "http" };
        // Whoever started it may not want to know.
        if tests && let Err(Failure::Failed(error)) = print(&format!("{scheme}://{address}")) {
            tracing::debug!(%error, "the URL cannot be printed");
        }
        if people {
            eprintln!("listening on {scheme}://{address}");
            eprintln!("data in {data}");
            if virgin && !tests {
                eprintln!(
                    "no access tokens yet: this machine only; make one with `tollgate token create --name ops --role admin`"
                );
            }
        }
    }
}

/// Where the data of a server is, for people.
fn place(database: &DatabaseSettings) -> Result<String, Failure> {
    Ok(match database.in_memory {
        true => "memory: nothing is left of it when the server ends".to_owned(),
        false => DatabaseUrl::parse(&database.url)?.to_string(),
    })
}

/// Runs the server until a signal. `format`: how logs look.
pub(super) async fn run(args: ServeArgs, format: LogFormat) -> Result<(), Failure> {
    args.check()?;
    let (people, tests) = (format == LogFormat::Pretty, args.is_testing());
    let (listen, metrics_listen, settings) = args.settings();
    let mut first = stop_signal()?;
    let mut second = stop_signal()?;
    let calls = server::bind(&listen).await?;
    let metrics = match metrics_listen {
        Some(listen) => Some(server::bind_metrics(&listen).await?),
        None => None,
    };
    let (ready, serving) = oneshot::channel();
    let listeners = Listeners { calls, metrics, ready: (people || tests).then_some(ready) };
    tokio::spawn(Greeting { people, tests, data: place(&settings.database)? }.say(serving));

    let asked = async {
        let signal = first.received().await;
        tracing::info!(signal, "asked to stop");
    };
    let asked_twice = async {
        second.received().await;
        second.received().await;
    };
    tokio::select! {
        served = server::run(listeners, settings, asked) => Ok(served?),
        () = asked_twice => Err(Failure::Failed("stopped at once by a second signal".into())),
    }
}

//! Follows `WatchConfig` for the commands that show what comes.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use tollgate_node::follow::{Lost, follow};

use super::Failure;
use super::target::Target;
use crate::proto::v1::WatchConfigRequest;
use crate::reducer::Reducer;

pub(super) use tollgate_node::follow::Sink;

/// How following ended.
pub(super) type End = Result<(), Failure>;

/// What writing some output means for going on.
pub(super) fn written(result: io::Result<()>) -> ControlFlow<End> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        // Whoever read the output has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ControlFlow::Break(Ok(())),
        Err(error) => ControlFlow::Break(Err(error.into())),
    }
}

/// What a stream that ended means for going on.
pub(super) fn lost(target: &Target, once: bool, lost: &Lost, pause: Duration) -> ControlFlow<End> {
    if lost.for_good {
        return ControlFlow::Break(Err(Failure::Failed(lost.why.clone().into())));
    }
    let (server, why) = (target.server(), target.with_hint(lost.why.clone()));
    if once {
        return ControlFlow::Break(Err(Failure::Failed(format!("{server}: {why}").into())));
    }
    eprintln!("tollgate: {server}: {why}; connecting again in {} ms", pause.as_millis());
    ControlFlow::Continue(())
}

/// Follows until there is no more to do.
pub(super) async fn run(
    target: &Target,
    request: &WatchConfigRequest,
    mut reducer: Reducer,
    sink: &mut impl Sink<crate::reducer::View, End = End>,
) -> End {
    let channel = target
        .endpoint()?
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect_lazy();
    follow(&target.authenticated(channel)?.into(), request, &mut reducer, sink).await
}

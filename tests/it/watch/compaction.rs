//! What is forgotten loses nothing.

use tollgate::proto::v1::{ResourceKind, WatchMode, WatchReason};

use super::rig::{Rig, node};

#[tokio::test]
async fn a_token_from_before_the_compaction_starts_a_snapshot_and_one_from_it_resumes() {
    let (mut rig, api) = Rig::started().await;
    let gone = api.team("gone").await;
    let mut old = node(&api, &[]).await;
    old.close();
    let last = api.delete_team(&gone.id).await.unwrap().revision;
    let mut recent = node(&api, &[]).await;
    recent.close();
    let mut teams = node(&api, &[ResourceKind::Team]).await;
    teams.close();
    rig.stop().await;
    rig.compact(last).await;

    rig.start().await;
    let api = rig.api().await;
    let (mode, reason, head) = old.connect(&api).await.unwrap();
    assert_eq!((mode, reason), (WatchMode::Snapshot, WatchReason::Compacted));
    assert_eq!(old.reducer.state().len(), recent.reducer.state().len() + 1, "the old state is served until then");
    old.until_proved(head).await;
    assert_eq!(old.reducer.state().len(), recent.reducer.state().len());

    for node in [&mut recent, &mut teams] {
        let (mode, reason, head) = node.connect(&api).await.unwrap();
        assert_eq!((mode, reason), (WatchMode::Resumed, WatchReason::Unspecified));
        node.until_proved(head).await;
    }
}

//! Dimensions of spend in usage entries.

use super::*;

fn of(end_user: &str, tags: &[&str]) -> v1::UsageEntry {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    v1::UsageEntry { end_user: end_user.to_owned(), tags, ..entry("", 1) }
}

#[tokio::test]
async fn an_entry_with_dimensions_that_cannot_be_recorded_is_rejected_by_itself_and_told_why() {
    let (mut rig, api) = Rig::started().await;
    let incarnation = register(&api).await;
    let (fits, long) = ("ä".repeat(64), "ä".repeat(65));
    let many: Vec<_> = (0..17).map(|number| number.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let doubled = [&many[..16], &many[..16]].concat();
    let entries = vec![
        v1::UsageEntry { session: fits.clone(), tool: fits.clone(), ..of(&fits, &[&fits]) },
        of(&long, &[]),
        v1::UsageEntry { session: "a\u{0}".to_owned(), tool: long.clone(), ..of("", &[]) },
        of("ada", &["a", " "]),
        of("ada", &many),
        of("ada", &doubled),
        of(" ada\n", &["b", " b "]),
    ];
    let acks = report(&api, vec![batch(incarnation, 1, entries)]).await;
    assert_eq!(acks[0].status(), Applied);
    let rejected: Vec<_> = acks[0].rejected_entries.iter().map(|it| (it.index, it.reason.as_str())).collect();
    let expected = [
        (1, "end_user has 130 bytes; must have at most 128"),
        (2, "session has control characters; must be printable; tool has 130 bytes; must have at most 128"),
        (3, "tags[1] is empty; name the tag or leave it out"),
        (4, "tags has 17 tags; must have at most 16"),
    ];
    assert_eq!(rejected, expected);
    drop(api);
    rig.stop().await;
}

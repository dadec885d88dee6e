//! Laws of lists.

use tonic::Code;
use tonic::transport::Channel;

use super::laws::{fields, on_every_kind, reason};
use super::subject::{Ask, How, Subject};
use crate::watch::rig::Rig;

/// How many of the kind the tests make.
const MADE: usize = 7;

async fn make<S: Subject>(channel: &Channel) -> Vec<String> {
    let mut made = Vec::new();
    for n in 0..MADE {
        let message = S::create(channel.clone(), S::sample(n), How::default()).await.unwrap();
        made.push(S::id(&message).to_owned());
    }
    made
}

async fn all<S: Subject>(channel: &Channel, size: i32, from_memory: bool) -> Vec<S::Message> {
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let ask = Ask { size, token, from_memory, ..Ask::default() };
        let page = S::list(channel.clone(), ask).await.unwrap();
        assert!(page.items.len() <= usize::try_from(size).unwrap());
        items.extend(page.items);
        if page.token.is_empty() {
            assert_eq!(usize::try_from(page.total).unwrap(), items.len());
            return items;
        }
        token = page.token;
    }
}

async fn pages_lose_nothing_and_repeat_nothing_wherever_they_are_read<S: Subject>(_: &mut Rig, channel: Channel) {
    let made = make::<S>(&channel).await;
    let whole = all::<S>(&channel, 1_000, false).await;
    let ids: Vec<&str> = whole.iter().map(|it| S::id(it)).collect();
    let ours: Vec<&str> = ids.iter().copied().filter(|id| made.iter().any(|it| it == id)).collect();
    assert_eq!(ours, made, "in the order in which they were made");
    for size in [1, 2, 3, 50] {
        for from_memory in [false, true] {
            assert_eq!(all::<S>(&channel, size, from_memory).await, whole, "pages of {size}");
        }
    }
}

async fn what_changes_between_two_pages_disturbs_no_other<S: Subject>(_: &mut Rig, channel: Channel) {
    let made = make::<S>(&channel).await;
    let built_in = all::<S>(&channel, 50, true).await.len() - MADE;
    let size = i32::try_from(built_in + 3).unwrap();
    let first = S::list(channel.clone(), Ask { size, ..Ask::default() }).await.unwrap();
    // The last of the page goes, and one before it: the token stays good.
    S::delete(channel.clone(), &made[2], 0, How::default()).await.unwrap();
    S::delete(channel.clone(), &made[0], 0, How::default()).await.unwrap();
    let rest = S::list(channel, Ask { size: 50, token: first.token, ..Ask::default() }).await.unwrap();
    assert_eq!(rest.items.iter().map(|it| S::id(it)).collect::<Vec<_>>(), made[3..]);
}

async fn sizes_and_tokens_are_checked<S: Subject>(_: &mut Rig, channel: Channel) {
    make::<S>(&channel).await;
    let negative = S::list(channel.clone(), Ask { size: -1, ..Ask::default() }).await.err().unwrap();
    assert_eq!(fields(&negative), ["page_size"]);
    S::list(channel.clone(), Ask { size: i32::MAX, ..Ask::default() }).await.unwrap();

    let first = S::list(channel.clone(), Ask { size: 2, ..Ask::default() }).await.unwrap();
    let mut bad = vec!["garbage".to_owned(), format!("{}A", first.token), "\u{fffd}".to_owned()];
    bad.extend((0..first.token.len()).step_by(9).map(|at| {
        let other = if first.token.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{other}{}", &first.token[..at], &first.token[at + 1..])
    }));
    for token in bad {
        let refused = S::list(channel.clone(), Ask { token, ..Ask::default() }).await.err().unwrap();
        assert_eq!(reason(&refused, Code::InvalidArgument), "INVALID_PAGE_TOKEN");
    }
}

async fn a_filter_that_nothing_matches_gives_an_empty_list_and_tokens_of_its_own<S: Subject>(
    _: &mut Rig,
    channel: Channel,
) {
    make::<S>(&channel).await;
    for from_memory in [false, true] {
        let ask = Ask { filtered: true, from_memory, ..Ask::default() };
        let page = S::list(channel.clone(), ask).await.unwrap();
        assert_eq!((page.items.len(), page.total, page.token.as_str()), (0, 0, ""));
    }
    let first = S::list(channel.clone(), Ask { size: 2, ..Ask::default() }).await.unwrap();
    let ask = Ask { token: first.token, filtered: true, ..Ask::default() };
    assert_eq!(reason(&S::list(channel, ask).await.err().unwrap(), Code::InvalidArgument), "INVALID_PAGE_TOKEN");
}

async fn what_a_source_manages_is_listed_by_it<S: Subject>(rig: &mut Rig, channel: Channel) {
    let made = make::<S>(&channel).await;
    for (place, source) in [(1, "files"), (2, "other"), (4, " files ")] {
        let mut marked = S::get(channel.clone(), &made[place], true).await.unwrap();
        source.clone_into(S::managed_by(&mut marked));
        let mut marked = S::update(channel.clone(), marked, How::mask(&["managed_by"])).await.unwrap();
        assert_eq!(S::managed_by(&mut marked), source.trim());
    }
    let channel = rig.restart().await.0;
    for from_memory in [false, true] {
        let ask = Ask { size: 50, managed_by: "files".to_owned(), from_memory, ..Ask::default() };
        let page = S::list(channel.clone(), ask).await.unwrap();
        let listed: Vec<&str> = page.items.iter().map(|it| S::id(it)).collect();
        assert_eq!((listed, page.total), (vec![&*made[1], &*made[4]], 2));
    }
    let mut long = S::sample(90);
    *S::managed_by(&mut long) = "x".repeat(129);
    let refused = S::create(channel, long, How::default()).await.unwrap_err();
    assert_eq!(fields(&refused), [format!("{}.managed_by", S::FIELD)]);
}

macro_rules! laws {
    ($($law:ident on $($kind:ident)*;)*) => {
        mod laws {
            $(#[tokio::test]
            async fn $law() {
                use super::$law as law;
                super::on_every_kind!(law $(, $kind)*);
            })*
        }
    };
}

laws! {
    pages_lose_nothing_and_repeat_nothing_wherever_they_are_read on;
    what_changes_between_two_pages_disturbs_no_other on;
    sizes_and_tokens_are_checked on;
    what_a_source_manages_is_listed_by_it on;
    a_filter_that_nothing_matches_gives_an_empty_list_and_tokens_of_its_own
        on Customer Team VirtualKey RoutingRule ModelConfig PricingOverride ModelPrice;
}

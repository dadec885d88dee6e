//! Requests are remembered for 24 hours.

use super::*;

const DAY: i64 = 24 * 60 * 60;

fn request(caller: &str, id: &str, accepted_at: Timestamp) -> Remembered {
    Remembered {
        caller: caller.to_owned(),
        method: "M".to_owned(),
        request_id: id.to_owned(),
        fingerprint: [7; 32],
        response: Bytes::from(format!("{caller} {id} {accepted_at}")),
        accepted_at,
    }
}

#[tokio::test]
async fn requests_are_found_by_caller_method_and_id_for_a_day() {
    let bench = Bench::new().await;
    let remember = async |requests: Vec<Remembered>| {
        let group = Group {
            head: bench.head.clone(),
            txns: Vec::new(),
            net: Vec::new(),
            requests,
            usage: UsageGroup::default(),
            former_keys: Vec::new(),
        };
        bench.store.commit(&group).await.unwrap();
    };
    let find = async |keys: &[(&str, &str, &str)], now| {
        let mut found = bench.store.find_requests(keys, now).await.unwrap();
        found.sort_by(|one, other| (&one.caller, &one.request_id).cmp(&(&other.caller, &other.request_id)));
        found
    };
    remember(vec![
        request("a", "1", at(0)),
        request("a", "2", at(1)),
        request("b", "1", at(2)),
        request("", "", at(2)),
    ])
    .await;
    assert_eq!(find(&[], at(3)).await, []);
    let all = [("a", "M", "1"), ("a", "M", "2"), ("b", "N", "1"), ("b", "M", "2"), ("", "M", "")];
    let (first, second, empty) = (request("a", "1", at(0)), request("a", "2", at(1)), request("", "", at(2)));
    assert_eq!(find(&all, at(DAY - 1)).await, [empty.clone(), first, second.clone()]);
    assert_eq!(find(&all, at(DAY)).await, [empty.clone(), second.clone()]);
    // One that is over makes room for another of the same id.
    let anew = request("a", "1", at(DAY));
    remember(vec![anew.clone()]).await;
    assert_eq!(find(&all, at(DAY)).await, [empty, anew.clone(), second]);
    let many: Vec<String> = (0..30_000).map(|i| i.to_string()).collect();
    let many: Vec<_> = many.iter().map(|id| ("a", "M", id.as_str())).collect();
    assert_eq!(find(&many, at(DAY)).await.len(), 2);

    assert_eq!(bench.store.forget_requests(at(2), 10).await.unwrap(), 1);
    assert_eq!(bench.store.forget_requests(at(3), 1).await.unwrap(), 1);
    assert_eq!(bench.store.forget_requests(at(3), 10).await.unwrap(), 1);
    assert_eq!(bench.store.forget_requests(at(3), 10).await.unwrap(), 0);
    assert_eq!(find(&many, at(DAY)).await, [anew]);
    assert_eq!(bench.store.read_head().await.unwrap(), bench.head);
}

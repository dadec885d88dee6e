//! What holds of files over random organisations.

use std::collections::{BTreeMap, HashSet};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use tollgate::proto::v1::{ApplyOperation, ApplyOptions, ConfigResource};

use super::*;
use crate::apply::organisation::Organisation;
use crate::apply::{apply, operations};
use crate::watch::api::Api;
use crate::watch::rig::node;

/// Makes a random organisation in a store, and tells what it is made of.
async fn organisation(api: &Api, rng: &mut StdRng, edits: usize) -> Organisation {
    let organisation = Organisation::random(rng, edits);
    let (_, changes): (Vec<_>, Vec<_>) = organisation.upserts(rng).into_iter().unzip();
    apply(api, ApplyOptions::default(), changes).await.unwrap();
    organisation
}

/// The configuration as the stream has it: kind and id, and the resource.
async fn resources(api: &Api) -> BTreeMap<(i32, String), ConfigResource> {
    let view = node(api, &[]).await.reducer.state();
    view.iter().map(|(key, resource)| ((key.kind, key.id.clone()), ConfigResource::clone(resource))).collect()
}

#[tokio::test]
async fn a_random_store_moves_as_files() {
    let mut rng = StdRng::seed_from_u64(7);
    for _ in 0..2 {
        let (mut rig, api) = Rig::started().await;
        let made = organisation(&api, &mut rng, 60).await;
        let all = run(&rig, &["get", "all", "-o", "yaml"]).await.good();

        let (mut empty, other) = Rig::started().await;
        let path = file(&empty, "all.yaml", &all);
        run(&empty, &["apply", "-f", path.to_str().unwrap()]).await.good();
        assert_eq!(run(&empty, &["get", "all", "-o", "yaml"]).await.good(), all);
        assert_eq!(resources(&other).await.len(), resources(&api).await.len());
        // Files may say less than there is: what the first store was made of says all of it.
        let (_, changes): (Vec<_>, Vec<_>) = made.upserts(&mut rng).into_iter().unzip();
        let count = changes.len();
        let answer = apply(&other, ApplyOptions::default(), changes).await.unwrap();
        assert_eq!(operations(&answer), vec![ApplyOperation::Unchanged; count]);
        drop((api, other));
        rig.stop().await;
        empty.stop().await;
    }
}

/// Sets of files lose documents, and are applied with `--prune`.
#[tokio::test]
async fn pruning_deletes_what_the_set_manages_and_its_files_no_longer_have_and_nothing_else() {
    let (mut rig, api) = Rig::started().await;
    let mut rng = StdRng::seed_from_u64(11);
    organisation(&api, &mut rng, 120).await;
    let manages =
        |resource: &ConfigResource, set: &str| format!("{resource:?}").contains(&format!("managed_by: \"{set}\""));
    let (mut pruned, mut refused) = (0, 0);
    for _ in 0..6 {
        let set = *["one", "other"].choose(&mut rng).unwrap();
        let before = resources(&api).await;
        let text = run(&rig, &["get", "all", "--managed-by", set, "-o", "yaml"]).await.good();
        let mut documents: Vec<_> = text.split("---\n").map(str::trim_end).collect();
        let all = documents.len();
        documents.shuffle(&mut rng);
        documents.truncate(all - rng.random_range(1..4).min(all - 1));
        let path = file(&rig, "set.yaml", &documents.join("\n---\n"));
        let ran = run(&rig, &["apply", "-f", path.to_str().unwrap(), "--set", set, "--prune", "--yes"]).await;
        let after = resources(&api).await;
        if ran.code != 0 {
            assert_eq!(before, after, "{}", ran.err);
            refused += 1;
            continue;
        }
        let gone: HashSet<_> = before.keys().filter(|key| !after.contains_key(*key)).collect();
        assert!(gone.iter().all(|key| manages(&before[*key], set)), "{gone:?}");
        assert_eq!(gone.len(), all - documents.len(), "{}", ran.out);
        for (key, resource) in &after {
            assert_eq!(before.get(key), Some(resource), "what stays is as it was");
        }
        pruned += gone.len();
    }
    assert!(pruned > 0 && refused > 0, "{pruned} were pruned, {refused} calls refused");
    drop(api);
    rig.stop().await;
}

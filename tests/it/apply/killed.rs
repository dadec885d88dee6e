//! The server is killed while it applies many changes: all of them are there afterwards, or none.

use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tollgate::reducer::View;

use super::*;
use crate::engine::Database;
use crate::log::check_log;
use crate::process::{Server, verify};
use crate::watch::rig::node;

/// How often the server is killed, where the environment does not say otherwise.
const KILLS: u64 = 2;
const CUSTOMERS: usize = 100;
const TEAMS: usize = 400;
const KEYS: usize = 1_500;

/// 2,000 changes, which in even rounds create an organisation, and in odd rounds change all of it. `round` is in each.
fn changes(round: u64) -> Vec<v1::ApplyChange> {
    let labels = || [("round".to_owned(), round.to_string())].into();
    let name = |number: usize| format!("c{number} of {}", round / 2);
    let of = |number: usize| format!("name:{}", name(number % CUSTOMERS));
    let customers = (0..CUSTOMERS).map(|number| v1::Customer { labels: labels(), ..customer(&name(number)) });
    let teams = (0..TEAMS).map(|number| v1::Team { labels: labels(), ..team(&format!("t{number}"), &of(number)) });
    let keys = (0..KEYS).map(|number| {
        let (name, team) = (format!("k{number}"), number % TEAMS);
        let (team_id, customer_id) = match number % 3 {
            0 => (String::new(), of(number)),
            _ => (format!("{}/t{team}", of(team)), String::new()),
        };
        v1::VirtualKey { labels: labels(), ..key(&name, &team_id, &customer_id) }
    });
    let keys = keys.map(Resource::VirtualKey);
    keys.chain(teams.map(Resource::Team)).chain(customers.map(Resource::Customer)).map(upsert).collect()
}

/// How many resources have the label of a round.
fn of_round(view: &View, round: u64) -> usize {
    let labelled = view.iter().filter(|(_, resource)| {
        let labels = match &resource.resource {
            Some(Resource::Customer(it)) => &it.labels,
            Some(Resource::Team(it)) => &it.labels,
            Some(Resource::VirtualKey(it)) => &it.labels,
            _ => return false,
        };
        labels.get("round").is_some_and(|it| *it == round.to_string())
    });
    labelled.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_was_applying_is_there_whole_or_not_at_all() {
    let kills = std::env::var("TOLLGATE_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let database = Database::new();
    let mut rng = StdRng::seed_from_u64(kills);
    let (mut server, channel) = Server::start(&database).await;
    let mut api = Api(channel);
    let all = CUSTOMERS + TEAMS + KEYS;
    let began = Instant::now();
    let mut head = apply(&api, v1::ApplyOptions::default(), changes(0)).await.unwrap().revision;
    let usual = began.elapsed();
    let (mut answered, mut whole) = (0, 0);
    for round in 1..=kills {
        let moment = usual.mul_f64(1.3 * rng.random::<f64>());
        let request_id = uuid::Builder::from_random_bytes(rng.random()).into_uuid().to_string();
        let options = v1::ApplyOptions { request_id, ..Default::default() };
        let (of_call, again) = (api.clone(), options.clone());
        let call = tokio::spawn(async move { apply(&of_call, options, changes(round)).await });
        tokio::time::sleep(moment).await;
        server.kill();
        let answer = call.await.unwrap();
        let channel;
        (server, channel) = Server::start(&database).await;
        api = Api(channel);

        let found = node(&api, &[]).await;
        let view = found.reducer.state();
        let there = of_round(&view, round);
        match answer {
            Ok(answer) => {
                assert_eq!((there, view.revision(), answer.revision), (all, head + 1, head + 1), "it was answered");
                answered += 1;
            }
            Err(_) => assert!(
                [(0, head), (all, head + 1)].contains(&(there, view.revision())),
                "{there} of {all} changes at revision {}, after {head}",
                view.revision()
            ),
        }
        whole += u64::from(there == all);

        // The same call ends in the same configuration, whether it had been done or not.
        let answer = apply(&api, again, changes(round)).await.unwrap();
        assert_eq!((answer.revision, answer.outcomes.len()), (head + 1, all));
        let found = node(&api, &[]).await.reducer.state();
        assert_eq!((of_round(&found, round), found.revision()), (all, head + 1));
        head += 1;
    }
    server.kill();
    let (good, said) = verify(&database, &[]);
    assert!(good, "{said}");
    assert_eq!(check_log(&database).await, head);
    println!("{kills} kills: {whole} calls were done, {answered} of them answered");
}

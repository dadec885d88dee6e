//! Corrections of usage in a history.

use rand::Rng as _;
use rand::seq::IteratorRandom as _;
use tollgate::proto::v1;
use tollgate::proto::v1::LimitKind;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;

use super::History;
use super::calls::micros;

impl History {
    /// Corrects what some limit has counted.
    pub(super) async fn adjust(&mut self) -> &'static str {
        let limits = self.model.limits.iter();
        let all = limits.flat_map(|(owner, limits)| (0..limits.len()).map(move |place| (owner.clone(), place)));
        let Some((owner, place)) = all.choose(&mut self.rng) else { return "nothing to correct" };
        let limit = &self.model.limits[&owner][place];
        let (limit_id, kind) = (limit.id.clone(), limit.kind);
        let most: i64 = if kind == LimitKind::Budget { 3_000_000 } else { 2_000 };
        let delta = match self.rng.random_range(-most..most) {
            0 => 1,
            delta => delta,
        };
        // Counters of such histories may be near what they can hold.
        let delta = if self.huge { -delta.abs() } else { delta };
        let (before, used, start) = self.model.adjust(&owner, place, delta);
        let request = v1::AdjustUsageRequest {
            limit_id,
            kind: kind.into(),
            delta,
            reason: "a correction".to_owned(),
            request_id: uuid::Uuid::from_u128(self.rng.random()).to_string(),
            validate_only: false,
        };
        let mut client = UsageServiceClient::new(self.api.0.clone());
        let answer = client.adjust_usage(request.clone()).await.unwrap().into_inner();
        let adjusted = answer.adjustment.as_ref().unwrap();
        let told = (adjusted.used_before, adjusted.used, adjusted.window_start.map_or(0, micros));
        assert_eq!(told, (before, used, start), "{request:?}");
        assert!(answer.revision >= self.revision + i64::from(used != before), "{request:?} {answer:?}");
        let again = client.adjust_usage(request).await.unwrap().into_inner();
        assert_eq!(again, answer, "what is sent again changes nothing");
        self.writes += 1;
        self.revision = answer.revision;
        self.tick(1_000);
        "a correction"
    }
}

//! What a state becomes step by step is what it would be if it were read whole.

use tollgate_testkit::world::{NOW, World};

use super::marks::Mark;
use super::*;
use crate::domain::Id;

impl State {
    /// Panics unless all indexes are as they would be after a restart.
    pub(crate) fn assert_as_restored(&self) {
        let (mut resources, mut removed) = (Vec::new(), Vec::new());
        for marked in self.changed_since(0) {
            match &marked.mark {
                Mark::Upsert(slot) => resources.push(slot.resource.clone()),
                Mark::Remove(key) => removed.push((marked.revision, ResourceKey::clone(key))),
            }
        }
        resources.extend(self.config.resources().filter(|resource| !resource.kind().is_streamed()));
        let restored = Self::restore(self.head.clone(), resources, [], removed);
        assert_eq!(self.marked(), restored.marked());
        self.assert_alike::<Customer>(&restored);
        self.assert_alike::<Team>(&restored);
        self.assert_alike::<VirtualKey>(&restored);
        self.assert_alike::<RoutingRule>(&restored);
        self.assert_alike::<ModelConfig>(&restored);
        self.assert_alike::<ProviderGovernance>(&restored);
        self.assert_alike::<PricingOverride>(&restored);
        self.assert_alike::<ModelPrice>(&restored);
        self.assert_alike::<Webhook>(&restored);
        self.assert_alike::<Token>(&restored);
        self.assert_alike::<Provider>(&restored);
        self.assert_alike::<McpClient>(&restored);
        assert_eq!(self.listings.budgets, restored.listings.budgets);
        assert_eq!(self.listings.rate_limits, restored.listings.rate_limits);
        for (_, id) in self.listings.budgets.iter().chain(&self.listings.rate_limits) {
            assert!(self.config.limit_place(id).is_some(), "limit {id} lies nowhere");
        }
        self.config.assert_indexed_as(&restored.config);
    }

    fn marked(&self) -> Vec<(i64, Option<AnyResource>)> {
        let of = |marked: &Marked| match &marked.mark {
            Mark::Upsert(slot) => Some(slot.resource.clone()),
            Mark::Remove(_) => None,
        };
        self.changed_since(0).map(|marked| (marked.revision, of(marked))).collect()
    }

    fn assert_alike<R: Listed>(&self, other: &Self) {
        assert!(self.all::<R>().eq(other.all::<R>()));
        assert_eq!(self.all::<R>().count(), self.config.count::<R>());
        let (listing, others) = (R::listing(self), R::listing(other));
        for stored in self.all::<R>() {
            let is_found = |name: Name<'_>| listing.named(&self.config, &name).any(|id| *id == stored.id);
            assert!(R::name(stored).is_none_or(is_found));
            let start = (Timestamp::from_micros(i64::MIN), Id::new(""));
            for facet in R::facets(&stored.resource) {
                assert_eq!(listing.facet_size(&facet), others.facet_size(&facet));
                assert!(listing.with_facet(&facet, &start).eq(others.with_facet(&facet, &start)), "{facet:?}");
            }
        }
        assert_eq!(listing.indexed(), others.indexed());
    }

    /// The state of a store with what is in `world`.
    pub(crate) fn of(world: &World) -> Self {
        let head = Head {
            store_id: "test".into(),
            revision: world.revision,
            chain: Chain::ORIGIN,
            committed_at: Timestamp::from_micros(NOW),
            compacted_revision: 0,
            compacted_chain: Chain::ORIGIN,
            last_config_id: 1_000,
        };
        Self::restore(head, world.resources(), [], [])
    }
}

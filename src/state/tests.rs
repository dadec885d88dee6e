//! What a state becomes step by step is what it would be if it were read whole.

use super::marks::Mark;
use super::*;

impl State {
    /// Panics unless all indexes are as they would be after a restart.
    pub(crate) fn assert_as_restored(&self) {
        let (mut resources, mut removed) = (Vec::new(), Vec::new());
        for marked in self.changed_since(0) {
            match &marked.mark {
                Mark::Upsert(slot) => resources.push(slot.resource()),
                Mark::Remove(key) => removed.push((marked.revision, ResourceKey::clone(key))),
            }
        }
        let restored = Self::restore(self.head.clone(), resources, [], removed);
        assert_eq!(self.marked(), restored.marked());
        self.assert_alike::<Customer>(&restored);
        self.assert_alike::<Team>(&restored);
        self.assert_alike::<VirtualKey>(&restored);
        self.assert_alike::<RoutingRule>(&restored);
        self.assert_alike::<ModelConfig>(&restored);
        self.assert_alike::<ProviderGovernance>(&restored);
        self.assert_alike::<PricingOverride>(&restored);
        self.assert_alike::<Provider>(&restored);
        self.assert_alike::<McpClient>(&restored);
        assert_eq!(self.budgets, restored.budgets);
        assert_eq!(self.rate_limits, restored.rate_limits);
        assert_eq!(self.limit_places.len(), restored.limit_places.len());
        for (_, id) in self.budgets.iter().chain(&self.rate_limits) {
            assert!(self.limit_place(id).is_some(), "limit {id} lies nowhere");
            assert_eq!(self.limit_place(id), restored.limit_place(id));
        }
        assert_eq!(self.secrets.len(), restored.secrets.len());
        for key in self.virtual_keys.iter() {
            assert!(key.resource.secrets().all(|secret| self.secret_holder(secret).is_some_and(|it| it.id == key.id)));
        }
        assert_eq!(self.provider_keys, restored.provider_keys);
    }

    fn marked(&self) -> Vec<(i64, Option<AnyResource>)> {
        let of = |marked: &Marked| match &marked.mark {
            Mark::Upsert(slot) => Some(slot.resource()),
            Mark::Remove(_) => None,
        };
        self.changed_since(0).map(|marked| (marked.revision, of(marked))).collect()
    }

    fn assert_alike<R: Indexed>(&self, other: &Self) {
        let (table, other) = (R::table(self), R::table(other));
        assert_eq!((table.len(), table.digest()), (other.len(), other.digest()));
        assert!(table.iter().eq(other.iter()));
        for stored in table.iter() {
            assert_eq!(self.get::<R>(stored.id.as_str()), Some(stored));
            assert_eq!(
                R::unique_name(stored).and_then(|name| table.named(name)),
                R::unique_name(stored).map(|_| &stored.id)
            );
            let start = (Timestamp::from_micros(i64::MIN), Id::new(""));
            for facet in R::facets(&stored.resource) {
                assert_eq!(table.facet_size(&facet), other.facet_size(&facet));
                assert!(table.with_facet(&facet, &start).eq(other.with_facet(&facet, &start)), "{facet:?}");
            }
        }
        assert_eq!(table.indexed(), other.indexed());
    }
}

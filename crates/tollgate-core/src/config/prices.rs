//! The price of a model at a time, found without looking at the prices of others.

use std::sync::Arc;

use imbl::OrdMap;

use super::Config;
use super::alike::Alike;
use crate::domain::{Id, ModelPrice, Provider, Stored, Timestamp, bare_model};

/// The place of a model price, on which it is unique: its provider, the name by which its model is compared, and from when on it holds.
pub type PricePlace = (Id<Provider>, Box<str>, Option<Timestamp>);

/// The model prices by their places. Earlier versions, which compared names otherwise, could store several at one place.
pub(super) type Prices = OrdMap<PricePlace, Alike<ModelPrice>>;

impl Config {
    /// The price of `model` at `provider` that holds at `at`: of those that hold, the one that holds since last.
    pub fn model_price(&self, provider: &str, model: &str, at: Timestamp) -> Option<&Arc<Stored<ModelPrice>>> {
        let place =
            |since| -> PricePlace { (Id::<Provider>::new(provider), bare_model(model, provider).into(), since) };
        let mut until_now = self.prices.range(place(None)..=place(Some(at)));
        let all = std::iter::from_fn(|| until_now.next_back()).flat_map(|(_, alike)| alike.iter());
        all.into_iter().find(|stored| stored.resource.holds_at(at))
    }

    /// The model prices at this place.
    pub fn model_prices_at(&self, place: &PricePlace) -> &[Arc<Stored<ModelPrice>>] {
        self.prices.get(place).map_or(&[], |alike| alike)
    }
}

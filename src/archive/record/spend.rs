//! Spend as it stands on a line.

use super::Fields;
use crate::proto::export::v1 as file;
use crate::store::Record;
use crate::usage::{SpendAmounts, SpendCell, SpendSeries};
use crate::wire::timestamp;

pub(super) fn render(cell: &SpendCell, amounts: SpendAmounts) -> file::Spend {
    let [customer_id, team_id, virtual_key_id, provider, model] = cell.series.texts().map(|text| text.to_string());
    let start = Some(timestamp(cell.start));
    let amounts = Some(amounts.into());
    file::Spend { start, customer_id, team_id, virtual_key_id, provider, model, amounts }
}

pub(super) fn parse(spent: file::Spend, fields: &mut Fields<'_>) -> Option<Record> {
    let file::Spend { start, customer_id, team_id, virtual_key_id, provider, model, amounts } = spent;
    let series = SpendSeries {
        customer_id: fields.text(customer_id, "customer_id").into(),
        team_id: fields.text(team_id, "team_id").into(),
        virtual_key_id: fields.text(virtual_key_id, "virtual_key_id").into(),
        provider: fields.text(provider, "provider").into(),
        model: fields.text(model, "model").into(),
    };
    let start = fields.time(start, "start");
    let Some(amounts) = amounts else {
        fields.0.add("amounts", "is absent");
        return None;
    };
    let amounts = SpendAmounts::from(amounts);
    for amount in amounts.to_array() {
        fields.at_least(0, amount, "amounts");
    }
    Some(Record::Spend(SpendCell { start, series }, amounts))
}

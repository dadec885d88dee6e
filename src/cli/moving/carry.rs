//! Applying what a migration made, and bringing along what was spent there.

use clap::Args;
use clap::builder::BoolishValueParser;
use prost_types::Timestamp;

use super::draft::{Draft, Drafts};
use super::report::Report;
use crate::cli::Failure;
use crate::cli::change::{self, PATIENCE};
use crate::cli::files::MAX_DOCUMENTS;
use crate::cli::remote::{moment, refused};
use crate::cli::resource::api::Api;
use crate::cli::target::{Server, Target};
use crate::domain::Kind;
use crate::proto::v1;
use crate::proto::v1::config_resource::Resource;
use crate::proto::v1::config_service_client::ConfigServiceClient;
use crate::proto::v1::usage_service_client::UsageServiceClient;

/// The most changes of a page.
const PAGE: i32 = 1_000;

#[derive(Args, Debug)]
pub(super) struct CarryArgs {
    /// Apply the documents too, as `tollgate apply` does, and bring along what was spent of budgets in their current windows
    #[arg(long, env = "TOLLGATE_MIGRATE_APPLY", value_parser = BoolishValueParser::new())]
    pub(super) apply: bool,

    /// With --apply: name of this set of files, by which what they describe is marked as managed
    #[arg(long, env = "TOLLGATE_SET", default_value = "", hide_default_value = true, value_name = "NAME")]
    set: String,

    #[command(flatten)]
    target: Target,
}

/// The server that things move to.
struct Destination {
    server: Server,
    /// The reason of all corrections, by which they are found again.
    reason: String,
}

impl CarryArgs {
    /// Applies the files, and brings along what was spent. The report tells what became of each amount.
    pub(super) async fn carry(
        &self,
        gateway: &str,
        files: &[std::path::PathBuf],
        quiet: bool,
        drafts: &Drafts,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let server = self.target.connect(PATIENCE).await?;
        let api = Api { server: server.clone() };
        // In one revision, if one takes them all.
        let calls = if drafts.all.len() > MAX_DOCUMENTS { files.chunks(1) } else { files.chunks(files.len().max(1)) };
        for call in calls {
            change::apply::files(&api, call, &self.set, quiet).await?;
        }
        report.spend.clear();
        let destination = Destination { server, reason: format!("spent in {gateway}, from where it moved here") };
        let spent: Vec<_> = drafts.all.iter().filter(|draft| !draft.spend.is_empty()).collect();
        for drafts in spent.chunks(MAX_DOCUMENTS) {
            let resources = drafts.iter().map(|draft| draft.resource.clone()).collect();
            let here = change::as_they_are(&destination.server, resources, &self.set).await?;
            for (draft, resource) in drafts.iter().zip(here) {
                destination.bring(draft, resource.as_ref(), report).await?;
            }
        }
        Ok(())
    }
}

impl Destination {
    /// Brings along what was spent of the budgets of an owner.
    async fn bring(
        &self,
        draft: &Draft,
        here: Option<&v1::ConfigResource>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let (kind, id, budgets) = match here.and_then(|here| here.resource.as_ref()) {
            Some(Resource::Customer(it)) => (Kind::Customer, it.id.as_str(), it.budgets.as_slice()),
            Some(Resource::Team(it)) => (Kind::Team, it.id.as_str(), it.budgets.as_slice()),
            Some(Resource::VirtualKey(it)) => (Kind::VirtualKey, it.id.as_str(), it.budgets.as_slice()),
            Some(Resource::ModelConfig(it)) => (Kind::ModelConfig, it.id.as_str(), it.budgets.as_slice()),
            Some(Resource::ProviderGovernance(it)) => (Kind::ProviderGovernance, it.id.as_str(), it.budgets.as_slice()),
            _ => (draft.kind, "", &[][..]),
        };
        let configs = match here.and_then(|here| here.resource.as_ref()) {
            Some(Resource::VirtualKey(it)) => it.provider_configs.as_slice(),
            _ => &[],
        };
        for spend in &draft.spend {
            let budgets = match spend.provider.as_str() {
                "" => budgets,
                provider => configs.iter().find(|it| it.provider == provider).map_or(&[][..], |it| &it.budgets),
            };
            let budget = budgets.iter().find(|budget| budget.reset_duration == spend.length);
            let outcome = match budget {
                Some(budget) => self.adjust(kind, id, &budget.id, spend.amount).await?,
                None => "is lost: the budget is not there any more".to_owned(),
            };
            report.spend.push(spend.note(&draft.subject, outcome));
        }
        Ok(())
    }

    /// Adds to a limit of the owner what is missing there of `spent`, so that another run adds nothing again.
    async fn adjust(&self, kind: Kind, id: &str, limit_id: &str, spent: i64) -> Result<String, Failure> {
        let mut client = UsageServiceClient::new(self.server.clone());
        let mut ask = async |delta, validate_only| {
            let request = v1::AdjustUsageRequest {
                limit_id: limit_id.to_owned(),
                kind: v1::LimitKind::Budget.into(),
                delta,
                reason: self.reason.clone(),
                validate_only,
                ..Default::default()
            };
            let answer = client.adjust_usage(request).await.map_err(|status| refused(&status))?;
            Ok::<_, Failure>(answer.into_inner().adjustment.unwrap_or_default())
        };
        let start = ask(spent, true).await?.window_start;
        let since = start.as_ref().map(moment).unwrap_or_default();
        let missing = spent - self.earlier(kind, id, limit_id, start).await?;
        if missing == 0 {
            return Ok(format!("was brought along before, into the window from {since}"));
        }
        ask(missing, false).await?;
        Ok(format!("brought along, into the window from {since}"))
    }

    /// The amounts that earlier runs added to a limit of the owner in the window that began at `start`.
    async fn earlier(&self, kind: Kind, id: &str, limit_id: &str, start: Option<Timestamp>) -> Result<i64, Failure> {
        let mut client = ConfigServiceClient::new(self.server.clone());
        let mut request =
            v1::ListChangesRequest { page_size: PAGE, kind: kind.number(), id: id.to_owned(), ..Default::default() };
        let mut sum = 0;
        loop {
            let page = client.list_changes(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
            let adjustments = page.changes.into_iter().filter_map(|change| change.adjustment);
            let ours = adjustments
                .filter(|it| (it.limit_id.as_str(), &it.reason, &it.window_start) == (limit_id, &self.reason, &start));
            sum += ours.map(|it| it.used - it.used_before).sum::<i64>();
            if page.next_page_token.is_empty() {
                return Ok(sum);
            }
            request.page_token = page.next_page_token;
        }
    }
}

//! Whether a request may go where it is to go, and what it is expected to use there.

use tollgate_core::config::Config;
use tollgate_core::credit::Demand;
use tollgate_core::decision::{
    self, Expected, Explanation, KeyGiven, LimitCheck, PriceRequest, Usage, Verdict, model_price,
};
use tollgate_core::domain::{Budget, Enforcement, LimitKind, RateLimit, Reserve, Timestamp, Window, bare_model};
use tollgate_core::proto::v1::UsageEntry;

use crate::admission::{Target, unrecordable};
use crate::answers::Answers;
use crate::book::Book;
use crate::decide::{Credential, Decide, Estimate, Request, decide, key_of};
use crate::dimensions;
use crate::engine::stamp;
use crate::outbox::state::Open;
use crate::pricing::estimated_cost;
use crate::refused::Refused;

/// All that is looked at.
pub(crate) struct Judge<'a> {
    pub(crate) config: &'a Config,
    pub(crate) book: &'a Book,
    pub(crate) answers: &'a Answers,
    /// Whether hard limits are decided by credit.
    pub(crate) needs_credit: bool,
    /// Whether a request may wait for a slot, where as many are open as may be.
    pub(crate) waits_for_slots: bool,
    /// Whether requests are refused whose price nobody knows.
    pub(crate) strict_prices: bool,
    /// Nano-dollars to expect of a request of a model that nothing is known of.
    pub(crate) unpriced: i64,
    pub(crate) at: Timestamp,
}

/// The usage of limits, for a request whose usage may be a guess: at a limit that credit decides, a guess never refuses alone.
struct Guesses<'a> {
    book: &'a Book,
    needs_credit: bool,
    waits_for_slots: bool,
    expected: Expected,
}

impl Usage for Guesses<'_> {
    fn budget(&self, budget: &Budget, window: &Window) -> i64 {
        self.book.budget(budget, window)
    }

    fn tokens(&self, limit: &RateLimit, window: &Window) -> i64 {
        self.book.tokens(limit, window)
    }

    fn requests(&self, limit: &RateLimit, window: &Window) -> i64 {
        self.book.requests(limit, window)
    }

    fn open(&self, limit: &RateLimit) -> i64 {
        self.book.open(limit)
    }

    fn weighs_open(&self, enforcement: Enforcement) -> bool {
        !(self.waits_for_slots && enforcement == Enforcement::Hard)
    }

    fn weighs_estimates(&self, kind: LimitKind, enforcement: Enforcement) -> bool {
        let is_guess = match kind {
            LimitKind::Tokens => self.expected.guesses_tokens,
            LimitKind::Requests | LimitKind::Concurrency => false,
            LimitKind::Budget => self.expected.guesses_cost,
        };
        !(is_guess && self.needs_credit && enforcement == Enforcement::Hard)
    }
}

/// A request that may go on, if there is credit for it.
pub(crate) struct Judged {
    pub(crate) explanation: Explanation,
    /// The usage that is expected of it where it goes.
    pub(crate) estimate: Estimate,
    /// The credit that it needs.
    pub(crate) demands: Vec<Demand>,
    /// Whether its caller said how long the answer is at most.
    pub(crate) bounds_output: bool,
}

impl Judge<'_> {
    /// The decision on a request, whose weighted draws are decided by its seed, and what it is expected to use where it goes.
    pub(crate) fn request(&self, by: Decide, key: KeyGiven<'_>, request: &Request<'_>) -> Result<Judged, Refused> {
        let Self { config, book, answers, needs_credit, waits_for_slots, strict_prices, unpriced, at } = *self;
        let mut expected = Expected::default();
        // An estimate of the caller's own must fit in any case.
        let given = Guesses { book, needs_credit: false, waits_for_slots, expected };
        let mut explanation = decide(by, config, &given, key, request, at);
        // The target is known: so is what is to be expected of it.
        let longest = || longest_answer(config, &explanation, at);
        let output_tokens = request.estimate.output_tokens.or_else(longest);
        expected.guesses_tokens = output_tokens.is_none();
        let mut estimate = answers.complete(Estimate { output_tokens, ..request.estimate }, &explanation);
        if explanation.is_allowed() {
            let price = estimated_cost(config, key, request, estimate, &explanation, at);
            let key_id = explanation.key_id.as_deref().unwrap_or_default();
            if let Some((_, why)) = unrecordable(&explanation.provider, &explanation.model, key_id) {
                let verdict = Verdict::ModelBlocked;
                return Err(Refused::of(Explanation { verdict, reason: why, ..explanation }, at));
            }
            if price.is_none() && strict_prices {
                return Err(Refused::unpriced(explanation));
            }
            let known = || answers.dearest(&explanation.provider, &explanation.model);
            let by_price = price.as_ref().map(|price| price.cost);
            let cost = estimate.cost_nano_usd.or(by_price).or_else(known).unwrap_or(unpriced);
            expected.guesses_cost = estimate.cost_nano_usd.is_none() && (price.is_none() || expected.guesses_tokens);
            expected.is_free = price.is_some_and(|price| price.is_free);
            estimate.cost_nano_usd = Some(cost);
            (expected.tokens, expected.cost) = (estimate.tokens(), cost);
            let guesses = Guesses { needs_credit, expected, ..given };
            explanation = decide(by, config, &guesses, key, &Request { estimate, ..*request }, at);
        }
        if explanation.is_allowed() {
            let demands = explanation.demands(&expected);
            Ok(Judged { explanation, estimate, demands, bounds_output: request.estimate.output_tokens.is_some() })
        } else {
            Err(Refused::of(explanation, at))
        }
    }

    /// What an open admission becomes with another target. Routing rules had their say when it was admitted.
    pub(crate) fn target(&self, before: &Open, target: &Target<'_>, seed: u64) -> Result<(Judged, Open), Refused> {
        let Open { estimate: entry, request_type, bounds_output, .. } = before;
        let credential = match entry.virtual_key_id.as_str() {
            "" => Credential::None,
            id => Credential::VirtualKeyId(id),
        };
        let request = Request {
            credential,
            provider: if target.provider.is_empty() { &entry.provider } else { target.provider },
            model: if target.model.is_empty() { &entry.model } else { target.model },
            provider_key_id: target.provider_key_id,
            request_type,
            estimate: Estimate {
                input_tokens: target.estimate.input_tokens.or(Some(entry.input_tokens)),
                output_tokens: target.estimate.output_tokens.or(bounds_output.then_some(entry.output_tokens)),
                cost_nano_usd: target.estimate.cost_nano_usd,
            },
            seed: Some(seed),
            ..Request::default()
        };
        let key = key_of(self.config, credential, self.at);
        // Its gateway may have said what it costs, elsewhere.
        let judge = Judge { unpriced: entry.cost_nano_usd, ..*self };
        let judged = judge.request(decision::judge, key, &request)?;
        let mut open = admission(entry.virtual_key_id.clone(), &request, &judged, self.at);
        dimensions::keep(entry, &mut open.estimate);
        Ok((judged, open))
    }
}

/// LLM tokens of the longest answer where a request goes, if one of its limits is held for that: a limit that refuses nothing
/// holds nothing either. `None` too if nobody knows them.
fn longest_answer(config: &Config, to: &Explanation, at: Timestamp) -> Option<i64> {
    let asks = |limit: &LimitCheck| limit.reserve == Reserve::WorstCase && limit.enforcement != Enforcement::Shadow;
    if !to.limits.iter().any(asks) {
        return None;
    }
    let of_model = PriceRequest { provider: &to.provider, model: &to.model, ..PriceRequest::default() };
    let price = model_price(config, &of_model, at)?;
    Some(price.resource.max_output_tokens).filter(|longest| *longest > 0)
}

/// An admission that goes where it was decided.
pub(crate) fn admission(
    virtual_key_id: String,
    request: &Request<'_>,
    Judged { explanation: to, estimate, bounds_output, .. }: &Judged,
    at: Timestamp,
) -> Open {
    let estimate = UsageEntry {
        virtual_key_id,
        provider: to.provider.to_string(),
        model: to.model.to_string(),
        provider_key_id: to.key_id.as_deref().unwrap_or_default().to_owned(),
        requests: 1,
        input_tokens: estimate.input_tokens.unwrap_or_default(),
        output_tokens: estimate.output_tokens.unwrap_or_default(),
        cost_nano_usd: estimate.cost_nano_usd.unwrap_or_default(),
        occurred_at: Some(stamp(at)),
        end_user: request.dimensions.end_user().to_owned(),
        session: request.dimensions.session().to_owned(),
        tool: request.dimensions.tool().to_owned(),
        tags: request.dimensions.tags().to_vec(),
        ..UsageEntry::default()
    };
    let request_type = request.request_type.to_owned();
    Open { estimate, request_type, credit: Vec::new(), bounds_output: *bounds_output }
}

/// Whether a request was admitted for what it used. Where no provider key was named, the gateway chose one.
pub(crate) fn covers(admitted: &UsageEntry, used: &UsageEntry) -> bool {
    let is_model = bare_model(&admitted.model, &admitted.provider) == bare_model(&used.model, &used.provider);
    let is_key = admitted.provider_key_id.is_empty() || admitted.provider_key_id == used.provider_key_id;
    is_model && is_key && admitted.provider == used.provider
}

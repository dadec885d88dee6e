//! The credit that a node holds on one limit in one window.

use std::time::Duration;

use super::purse::Demand;
use super::{Account, Credit};
use crate::domain::Timestamp;

/// The time over which a node's rate is measured: a grant is at most what it uses in so long.
const PACE: Duration = Duration::from_secs(10);

/// How long those wait who asked for a slot.
const OWED: Duration = Duration::from_millis(250);

/// The credit on one limit in one window.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Held {
    pub(super) account: Account,
    /// The part of what was used that a server has acknowledged.
    pub(super) acknowledged: i64,
    /// Held by requests in flight.
    pub(super) reserved: i64,
    pub(super) max: i64,
    pub(super) ends: Timestamp,
    pub(super) lease: Option<Duration>,
    pub(super) alone: bool,
    /// Until when a temporary increase raises the ceiling.
    pub(super) raised_until: Option<Timestamp>,
    /// Whether what was idle when that increase ended was given back.
    pub(super) is_lowered: bool,
    /// Whether an edit moved the limit to another window.
    pub(super) is_moved: bool,
    /// When it was last used.
    pub(super) touched: Duration,
    /// Until when the next slot that is free again goes back, since others wait for one.
    pub(super) owed_until: Option<Duration>,
    pub(super) pace: Pace,
}

/// The amounts that were reserved in this stretch of time and in the one before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Pace {
    since: Duration,
    before: i64,
    current: i64,
}

impl Pace {
    pub(super) fn note(&mut self, amount: i64, now: Duration) {
        if now >= self.since + PACE {
            let is_next = now < self.since + 2 * PACE;
            *self = Self { since: now, before: if is_next { self.current } else { 0 }, current: 0 };
        }
        self.current = self.current.saturating_add(amount);
    }

    /// The greater of the two amounts.
    pub(super) fn most(self) -> i64 {
        self.before.max(self.current)
    }
}

impl Held {
    /// Credit that nothing was told of yet: it admits nothing.
    pub(super) fn unknown() -> Self {
        Self {
            account: Account::default(),
            acknowledged: 0,
            reserved: 0,
            max: 0,
            ends: Timestamp::MIN,
            lease: None,
            alone: false,
            raised_until: None,
            is_lowered: false,
            is_moved: false,
            touched: Duration::ZERO,
            owed_until: None,
            pace: Pace::default(),
        }
    }

    /// Puts what a server told in the place of what was known. Whether credit is given back, since an increase is over that it
    /// may have been granted by: what was idle before, and of a welcome all that is idle, since nobody knows when it was granted.
    pub(super) fn learn(&mut self, credit: Credit, is_welcome: bool, now: Duration) -> bool {
        let Credit { key: _, account, max, ends, lease, alone, raised_until, is_raised } = credit;
        if account.granted > self.account.granted {
            self.touched = now;
        }
        // A late message may be from before the increase that later credit was granted by.
        if account.granted >= self.account.granted && (is_raised || self.raised_until != raised_until) {
            (self.raised_until, self.is_lowered) = (raised_until, false);
        }
        let is_over = raised_until.is_some() && !is_raised;
        let gave_before = is_over && !self.is_lowered && self.give_back();
        self.is_lowered |= is_over;
        self.account.raise(&account);
        (self.max, self.ends, self.lease, self.alone) = (max, ends, lease, alone);
        (is_over && is_welcome && self.give_back()) || gave_before
    }

    /// Holds so much for a request.
    pub(super) fn reserve(&mut self, amount: i64, now: Duration) {
        self.reserved = self.reserved.saturating_add(amount);
        self.touched = now;
        self.pace.note(amount, now);
    }

    /// Credit that neither was used nor is held by a request in flight. Below 0 where requests used more than they held.
    fn idle(&self) -> i64 {
        let Account { granted, used, returned } = self.account;
        granted.saturating_sub(returned).saturating_sub(used).saturating_sub(self.reserved)
    }

    /// Whether the increase is over that idle credit may have been granted by.
    pub(super) fn outlives_increase(&self, now: Timestamp) -> bool {
        !self.is_lowered && self.raised_until.is_some_and(|until| now >= until)
    }

    /// Notes that what was idle was given back, if the increase is over: what comes later is granted by the ceiling without it.
    pub(super) fn lower(&mut self, now: Timestamp) {
        self.is_lowered |= self.outlives_increase(now);
    }

    /// The amount that a request may hold; `None` if it is not admitted.
    pub(super) fn covers(&self, demand: &Demand) -> Option<i64> {
        let Demand { amount, guessed, .. } = demand;
        let idle = self.idle();
        let is_last = *guessed && self.alone && self.reserved == 0;
        match idle {
            _ if self.account.used >= self.max => None,
            _ if idle >= *amount => Some(*amount),
            1.. if is_last => Some(idle),
            _ => None,
        }
    }

    /// Takes a recall. Where all slots are in use, the next that is free again goes back, and not to a request that waits here.
    pub(super) fn recall(&mut self, now: Duration) {
        self.owed_until = (self.idle() <= 0).then(|| now + OWED);
    }

    /// Gives idle credit back. Whether there was any.
    pub(super) fn give_back(&mut self) -> bool {
        let idle = self.idle().max(0);
        self.account.returned = self.account.returned.saturating_add(idle);
        idle > 0
    }

    /// Whether nobody needs to know of it any more.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let is_void = self.is_moved || now >= self.ends;
        is_void && self.reserved == 0 && self.account.outstanding() == 0 && self.acknowledged >= self.account.used
    }
}

//! Which faults come when: chosen by a seed, and by nothing else.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

pub(crate) const REPLICAS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fault {
    /// A replica is killed, and started again.
    KillReplica,
    /// The replica that holds the lock of all writers is stopped, for longer than the lock can be held, and goes on.
    StopLockHolder,
    /// The database is killed, and started again.
    CrashDatabase,
    /// A replica's connections to the database end.
    CutDatabase,
    /// One of them ends between a COMMIT and its answer.
    CutAtCommit,
    /// They are half-open from now on, and for a while there is no getting through.
    SilenceDatabase,
    /// They are slow.
    DelayDatabase,
    /// The connections of a replica's clients end.
    CutClients,
    /// They are half-open from now on, and for a while there is no getting through.
    SilenceClients,
    /// They are slow.
    DelayClients,
    /// A replica is stopped; others write; then a revision that it has not read is missing from the log for a while.
    HideRevision,
    /// The same, and the hash of that revision is another for a while.
    AlterHash,
    /// A replica may open no more files and connections for a while.
    UseUpDescriptors,
    /// A replica gets no more memory for a while.
    UseUpMemory,
    /// A replica may start no more threads for a while, and has to connect to the database anew meanwhile.
    UseUpThreads,
    /// A client stops reading for a while. Watchers do that by themselves.
    StopReading,
}

impl Fault {
    /// Those that are planned.
    pub(crate) const PLANNED: [Self; 15] = [
        Self::KillReplica,
        Self::StopLockHolder,
        Self::CrashDatabase,
        Self::CutDatabase,
        Self::CutAtCommit,
        Self::SilenceDatabase,
        Self::DelayDatabase,
        Self::CutClients,
        Self::SilenceClients,
        Self::DelayClients,
        Self::HideRevision,
        Self::AlterHash,
        Self::UseUpDescriptors,
        Self::UseUpMemory,
        Self::UseUpThreads,
    ];

    /// How long it lasts, in milliseconds, if it lasts.
    fn lasts(self) -> std::ops::Range<u64> {
        match self {
            // PostgreSQL ends a transaction that is idle for 5 s; others wait 3 s for the lock.
            Self::StopLockHolder => 6_000..8_000,
            Self::SilenceDatabase | Self::SilenceClients => 500..4_000,
            Self::DelayDatabase | Self::DelayClients => 1_000..3_000,
            // Longer than a bookmark may be on its way, so that one that says more than its replica knows is noticed.
            Self::HideRevision | Self::AlterHash => 7_000..9_000,
            Self::UseUpDescriptors | Self::UseUpMemory | Self::UseUpThreads => 1_000..3_000,
            Self::KillReplica | Self::CrashDatabase => 0..1_000,
            Self::CutDatabase | Self::CutAtCommit | Self::CutClients | Self::StopReading => 0..1,
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Planned {
    /// Since the one before.
    pub(crate) after: Duration,
    pub(crate) fault: Fault,
    pub(crate) replica: usize,
    pub(crate) lasts: Duration,
}

/// Faults without end: each of them once, in some order, then each once more, and so on.
pub(crate) fn faults(seed: u64, kinds: &[Fault]) -> impl Iterator<Item = Planned> + use<> {
    let mut rng = StdRng::seed_from_u64(seed);
    let (kinds, mut deck) = (kinds.to_vec(), Vec::new());
    std::iter::from_fn(move || {
        if deck.is_empty() {
            deck.clone_from(&kinds);
            deck.shuffle(&mut rng);
        }
        let fault = deck.pop()?;
        let replica = rng.random_range(0..REPLICAS);
        let lasts = Duration::from_millis(rng.random_range(fault.lasts()));
        let after = Duration::from_millis(rng.random_range(100..1_200));
        Some(Planned { after, fault, replica, lasts })
    })
}

#[test]
fn a_seed_chooses_the_same_faults_again_and_none_is_left_out() {
    let some = |seed| faults(seed, &Fault::PLANNED).take(25).collect::<Vec<_>>();
    assert_eq!(some(7), some(7));
    assert_ne!(some(7), some(8));
    for deck in some(9).chunks_exact(Fault::PLANNED.len()) {
        let mut kinds: Vec<_> = deck.iter().map(|planned| planned.fault).collect();
        kinds.sort();
        assert_eq!(kinds, Fault::PLANNED);
    }
}

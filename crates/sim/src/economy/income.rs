//! What each party of a simulated market earned and lost.
//!
//! Promise: profit = payouts - cost of work - cost of idle stake - stake lost; every fine of somebody who did
//! not lie is counted as such.

/// Sums of one simulation, in micro-ESM. Parties are numbered: workers first, then validators.
#[derive(Clone, Debug, Default)]
pub(super) struct Income {
    /// Profit of each party in each epoch.
    pub(super) profit: Vec<Vec<i128>>,
    /// What the ledger paid each party.
    pub(super) paid: Vec<i128>,
    /// Stake that each party lost.
    pub(super) lost: Vec<i128>,
    /// Which parties act as one.
    pub(super) friends: Vec<bool>,
    /// Epoch of the first fine of a friend.
    pub(super) caught: Option<u64>,
    /// Friends fined.
    pub(super) friends_fined: u64,
    /// Fines of parties that did not lie.
    pub(super) honest_fined: u64,
    /// Groups with a lie that were accepted.
    pub(super) lies_accepted: u64,
    /// Groups that were dropped and nobody paid.
    pub(super) dropped: u64,
    /// Leases that nobody answered.
    pub(super) unanswered: u64,
    /// Stake lost in the current epoch.
    losses: Vec<i128>,
}

impl Income {
    pub(super) fn new(workers: usize, validators: usize) -> Self {
        let parties = workers + validators;
        Self {
            profit: vec![Vec::new(); parties],
            paid: vec![0; parties],
            lost: vec![0; parties],
            losses: vec![0; parties],
            ..Self::default()
        }
    }

    /// A party loses stake.
    pub(super) fn fined(&mut self, epoch: u64, party: usize, is_friend: bool, lies: bool, loss: u128) {
        let loss = i128::try_from(loss).unwrap_or(i128::MAX); // a share of a u64
        self.losses[party] += loss;
        self.lost[party] += loss;
        self.honest_fined += u64::from(!lies);
        self.friends_fined += u64::from(is_friend);
        if is_friend {
            self.caught.get_or_insert(epoch);
        }
    }

    /// An epoch is paid: `payouts` and `costs` of every party.
    pub(super) fn close(&mut self, payouts: &[u64], costs: &[u128]) {
        for (party, losses) in self.losses.iter_mut().enumerate() {
            let paid = i128::from(payouts[party]);
            let cost = i128::try_from(costs[party]).unwrap_or(i128::MAX); // far below
            self.paid[party] += paid;
            self.profit[party].push(paid - cost - std::mem::take(losses));
        }
    }

    /// An epoch in which nobody of interest does anything.
    pub(super) fn idle(&mut self) {
        self.profit.iter_mut().for_each(|profit| profit.push(0));
    }

    /// Profit of some parties together, by epoch, each number the sum of all epochs so far.
    pub(super) fn running_profit(&self, parties: impl Fn(usize) -> bool) -> Vec<i128> {
        let epochs = self.profit.first().map_or(0, Vec::len);
        let of_epoch = |epoch: usize| -> i128 {
            let chosen = self.profit.iter().enumerate().filter(|(party, _)| parties(*party));
            chosen.map(|(_, profit)| profit[epoch]).sum()
        };
        let running = (0..epochs).scan(0, |sum, epoch| {
            *sum += of_epoch(epoch);
            Some(*sum)
        });
        running.collect()
    }
}

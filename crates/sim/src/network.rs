//! Messages, alarms and misfortune, in the order of a clock that only this queue moves.
//!
//! Promise: what is sent arrives late, twice, out of order, or not at all, as the seed says; nothing
//! arrives altered, for channels are authenticated. Who is down hears nothing and forgets its alarms.
//! Takes: packets. Gives: what happens next. Never: looks into a packet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use protocol::Party;

use crate::chance::Chance;
use crate::packet::Packet;

/// Somebody with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Orchestrator,
    Trainer,
    Worker(u32),
    Validator(u32),
}

impl Node {
    /// # Panics
    /// For the treasury, which is an account and has no address.
    pub(crate) fn of(party: Party) -> Self {
        match party {
            Party::Worker(id) => Self::Worker(id),
            Party::Validator(id) => Self::Validator(id),
            Party::Trainer => Self::Trainer,
            Party::Treasury => panic!("the treasury has no address"),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orchestrator => f.write_str("orchestrator"),
            Self::Trainer => f.write_str("trainer"),
            Self::Worker(id) => write!(f, "worker {id}"),
            Self::Validator(id) => write!(f, "validator {id}"),
        }
    }
}

/// How much goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Messages lost, of a thousand.
    pub lost_permille: u64,
    /// Messages that arrive twice, of a thousand.
    pub doubled_permille: u64,
    /// Messages that take long enough for others to overtake them, of a thousand.
    pub delayed_permille: u64,
    /// Chance per second and thousand that somebody crashes, to come back with nothing but its disk.
    pub crash_permille: u64,
    /// Chance per second and thousand that some are cut off from the orchestrator for a while.
    pub partition_permille: u64,
    /// Chance per second and thousand that the orchestrator's clock is set to another time.
    pub clock_permille: u64,
}

impl Faults {
    /// A perfect network.
    pub const NONE: Self = Self {
        lost_permille: 0,
        doubled_permille: 0,
        delayed_permille: 0,
        crash_permille: 0,
        partition_permille: 0,
        clock_permille: 0,
    };

    /// Everything at once, about as bad as a home connection on a bad day.
    pub const ALL: Self = Self {
        lost_permille: 80,
        doubled_permille: 80,
        delayed_permille: 150,
        crash_permille: 80,
        partition_permille: 40,
        clock_permille: 40,
    };
}

/// How often what went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Misfortunes {
    /// Messages sent.
    pub sent: u64,
    /// Messages that never arrived, also those to somebody who was down or cut off.
    pub lost: u64,
    /// Messages that arrived twice.
    pub doubled: u64,
    /// Messages that were held up.
    pub delayed: u64,
    /// Crashes of the orchestrator.
    pub orchestrator_crashes: u64,
    /// Crashes of anybody else.
    pub other_crashes: u64,
    /// Partitions.
    pub partitions: u64,
    /// Times the orchestrator's clock was set.
    pub clock_steps: u64,
}

impl Misfortunes {
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.delayed += other.delayed;
        self.orchestrator_crashes += other.orchestrator_crashes;
        self.other_crashes += other.other_crashes;
        self.partitions += other.partitions;
        self.clock_steps += other.clock_steps;
    }
}

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Happening<A> {
    Arrives {
        from: Node,
        to: Node,
        packet: Packet,
    },
    Alarm {
        node: Node,
        alarm: A,
    },
    Restart(Node),
    /// A second has passed in which something may go wrong.
    Second,
}

/// The queue, the time, and who can hear whom.
pub(crate) struct Network<A> {
    pub(crate) now_ms: u64,
    pub(crate) counts: Misfortunes,
    faults: Faults,
    chance: Chance,
    queue: BTreeMap<(u64, u64), Happening<A>>,
    next: u64,
    down: BTreeSet<Node>,
    /// Cut off until then.
    cut: BTreeMap<Node, u64>,
}

impl<A> Network<A> {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let mut network = Self {
            now_ms: 0,
            counts: Misfortunes::default(),
            faults,
            chance: Chance::new(seed, "network"),
            queue: BTreeMap::new(),
            next: 0,
            down: BTreeSet::new(),
            cut: BTreeMap::new(),
        };
        network.at(1_000, Happening::Second);
        network
    }

    /// The next thing that happens to somebody who can notice it; moves the clock.
    pub(crate) fn next(&mut self) -> Option<Happening<A>> {
        while let Some(((time, _), happening)) = self.queue.pop_first() {
            self.now_ms = time;
            match &happening {
                Happening::Arrives { from, to, .. } if self.down.contains(to) || self.is_cut(*from, *to) => {
                    self.counts.lost += 1;
                }
                _ => return Some(happening),
            }
        }
        None
    }

    fn at(&mut self, delay_ms: u64, happening: Happening<A>) {
        self.queue.insert((self.now_ms + delay_ms, self.next), happening);
        self.next += 1;
    }

    fn is_cut(&self, from: Node, to: Node) -> bool {
        let cut = |node| self.cut.get(&node).is_some_and(|&until| until > self.now_ms);
        cut(from) != cut(to)
    }

    /// Sends a packet on its way.
    pub(crate) fn send(&mut self, from: Node, to: Node, packet: Packet) {
        self.counts.sent += 1;
        if self.chance.permille(self.faults.lost_permille) {
            self.counts.lost += 1;
            return;
        }
        if self.chance.permille(self.faults.doubled_permille) {
            self.counts.doubled += 1;
            let delay = self.delay();
            self.at(delay, Happening::Arrives { from, to, packet: packet.clone() });
        }
        let delay = self.delay();
        self.at(delay, Happening::Arrives { from, to, packet });
    }

    fn delay(&mut self) -> u64 {
        if self.chance.permille(self.faults.delayed_permille) {
            self.counts.delayed += 1;
            return self.chance.within(200, 3_000);
        }
        self.chance.within(5, 60)
    }

    /// Wakes a node later, unless it crashes before.
    pub(crate) fn alarm(&mut self, node: Node, delay_ms: u64, alarm: A) {
        self.at(delay_ms, Happening::Alarm { node, alarm });
    }

    /// Takes a node down for some seconds, with all its alarms.
    pub(crate) fn crash(&mut self, node: Node) {
        match node {
            Node::Orchestrator => self.counts.orchestrator_crashes += 1,
            _ => self.counts.other_crashes += 1,
        }
        self.queue.retain(|_, happening| !matches!(happening, Happening::Alarm { node: other, .. } if *other == node));
        self.down.insert(node);
        let delay = self.chance.within(500, 5_000);
        self.at(delay, Happening::Restart(node));
    }

    pub(crate) fn is_down(&self, node: Node) -> bool {
        self.down.contains(&node)
    }

    pub(crate) fn restart(&mut self, node: Node) {
        self.down.remove(&node);
    }

    /// What goes wrong in this second: whom to crash, and how far to set the clock, in milliseconds.
    pub(crate) fn misfortune(&mut self, nodes: &[Node]) -> (Option<Node>, Option<i64>) {
        self.at(1_000, Happening::Second);
        if self.chance.permille(self.faults.partition_permille) {
            self.counts.partitions += 1;
            let until = self.now_ms + self.chance.within(1_000, 6_000);
            let lonely = self.chance.within(1, nodes.len() as u64 / 2);
            for _ in 0..lonely {
                let node = nodes[self.chance.below(nodes.len() as u64) as usize];
                self.cut.insert(node, until);
            }
        }
        let crash = self.chance.permille(self.faults.crash_permille).then(|| self.somebody(nodes));
        let step = self.chance.permille(self.faults.clock_permille).then(|| {
            self.counts.clock_steps += 1;
            self.chance.within(0, 4_000) as i64 - 2_000
        });
        (crash.filter(|node| !self.is_down(*node)), step)
    }

    /// The orchestrator is hit as often as all others together.
    fn somebody(&mut self, nodes: &[Node]) -> Node {
        match self.chance.permille(500) {
            true => Node::Orchestrator,
            false => nodes[self.chance.below(nodes.len() as u64) as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: u64 = 2_000;
    const FROM: Node = Node::Worker(0);
    const TO: Node = Node::Orchestrator;

    /// Sends packets one after another and lists what arrives, in order, with its time.
    fn arrivals(faults: Faults) -> (Vec<(u64, u64)>, Misfortunes) {
        let mut network = Network::<()>::new(5, Faults { crash_permille: 0, ..faults });
        (0..SENT).for_each(|number| network.send(FROM, TO, Packet::Cancel(number)));
        let mut heard = Vec::new();
        while network.now_ms < 10_000 {
            match network.next() {
                Some(Happening::Arrives { packet: Packet::Cancel(number), .. }) => heard.push((network.now_ms, number)),
                Some(Happening::Second) => drop(network.misfortune(&[FROM, TO])),
                _ => {}
            }
        }
        (heard, network.counts)
    }

    #[test]
    fn a_perfect_network_delivers_everything_once_and_soon() {
        let (heard, counts) = arrivals(Faults::NONE);
        let mut numbers: Vec<u64> = heard.iter().map(|&(_, number)| number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..SENT).collect::<Vec<_>>());
        assert!(heard.iter().all(|&(time, _)| time <= 60));
        assert_eq!(counts, Misfortunes { sent: SENT, ..Misfortunes::default() });
    }

    #[test]
    fn a_bad_network_loses_doubles_and_holds_up_as_often_as_said() {
        let (heard, counts) = arrivals(Faults { partition_permille: 0, ..Faults::ALL });
        // 8 % of 2,000 are 160, with a standard deviation of 12; of the rest, 8 % come twice.
        assert!(counts.lost.abs_diff(160) < 60, "{counts:?}");
        assert!(counts.doubled.abs_diff(147) < 60, "{counts:?}");
        assert_eq!(heard.len() as u64, SENT - counts.lost + counts.doubled);
        let overtaken = heard.windows(2).filter(|pair| pair[0].1 > pair[1].1).count();
        assert!(overtaken > 100, "messages overtake each other: {overtaken}");
    }

    #[test]
    fn who_is_down_hears_nothing_and_forgets_its_alarms() {
        let mut network = Network::new(5, Faults::NONE);
        network.alarm(TO, 10, "forgotten");
        network.alarm(FROM, 10, "kept");
        network.crash(TO);
        network.send(FROM, TO, Packet::Cancel(1));
        let mut happened = Vec::new();
        while network.is_down(TO) {
            match network.next() {
                Some(Happening::Restart(node)) => network.restart(node),
                Some(Happening::Second) => {}
                other => happened.push(format!("{other:?}")),
            }
        }
        assert_eq!(happened, ["Some(Alarm { node: Worker(0), alarm: \"kept\" })"]);
        assert_eq!(network.counts.lost, 1);
        network.send(FROM, TO, Packet::Cancel(2));
        assert!(matches!(
            network.next(),
            Some(Happening::Arrives { packet: Packet::Cancel(2), .. } | Happening::Second)
        ));
    }

    #[test]
    fn a_partition_parts_only_those_on_different_sides() {
        let mut network = Network::<()>::new(5, Faults::NONE);
        network.cut = [(Node::Worker(0), 1_000), (Node::Validator(0), 1_000)].into();
        assert!(network.is_cut(Node::Worker(0), TO) && network.is_cut(TO, Node::Validator(0)));
        assert!(!network.is_cut(Node::Worker(0), Node::Validator(0)), "both are on the far side");
        assert!(!network.is_cut(Node::Worker(1), TO));
        network.now_ms = 1_000;
        assert!(!network.is_cut(Node::Worker(0), TO), "it heals");
    }
}

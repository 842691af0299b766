//! Which of several events that wait is granted next.

use std::collections::VecDeque;

/// Which of several inputs with waiting events is granted next: ports of a module, or ways into a link of the mesh. Of
/// one input the event that came first is next.
///
/// ```
/// use megasim_core::engine::machine::Arbiter;
/// assert_eq!(Arbiter::named("round-robin"), Some(Arbiter::RoundRobin));
/// assert_eq!(Arbiter::default().name(), "fair");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arbiter {
    /// The one whose event came first.
    #[default]
    Fair,
    /// The first input that has one.
    FixedPriority,
    /// The next one after that granted last, around in a circle.
    RoundRobin,
    /// A binary tree of arbiters, each of which takes its two sides in turn where both have one.
    Tree,
}

impl Arbiter {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fair, Self::FixedPriority, Self::RoundRobin, Self::Tree];

    /// Its name in a hardware file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fair => "fair",
            Self::FixedPriority => "fixed-priority",
            Self::RoundRobin => "round-robin",
            Self::Tree => "tree",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arbiter| arbiter.name() == name)
    }
}

/// What an arbiter remembers.
#[derive(Debug, Clone, Default)]
pub(super) struct Grants {
    /// The input granted last.
    last: Option<u32>,
    /// Of each arbiter of a tree, by number in it: whether it granted its second side last.
    second: Vec<bool>,
}

impl Grants {
    pub fn start(&mut self) {
        self.last = None;
        self.second.clear();
    }

    /// The place among waiting events, in the order in which they came, of the one that is granted next; `input` is
    /// that of an event, of `inputs`.
    pub fn next<T>(
        &self,
        arbiter: Arbiter,
        waiting: &VecDeque<T>,
        inputs: u32,
        input: impl Fn(&T) -> u32,
    ) -> Option<usize> {
        if waiting.is_empty() || arbiter == Arbiter::Fair {
            return (!waiting.is_empty()).then_some(0);
        }
        let asks = |wanted: u32| waiting.iter().any(|it| input(it) == wanted);
        let granted = match arbiter {
            Arbiter::Fair => return Some(0),
            Arbiter::FixedPriority => (0..inputs).find(|&input| asks(input)),
            Arbiter::RoundRobin => {
                let first = self.last.map_or(0, |last| last + 1);
                (0..inputs).map(|k| (first + k) % inputs.max(1)).find(|&input| asks(input))
            }
            Arbiter::Tree => {
                // From the root down: node k has the children 2 k and 2 k + 1, the inputs are the last row.
                let leaves = inputs.next_power_of_two();
                let any = |from: u32, n: u32| (from..from + n).any(asks);
                let (mut node, mut from, mut n) = (1, 0, leaves);
                while n > 1 {
                    n /= 2;
                    let sides = (any(from, n), any(from + n, n));
                    let was_second = self.second.get(node as usize).copied().unwrap_or(true);
                    let second = if sides == (true, true) { !was_second } else { sides.1 };
                    node = 2 * node + u32::from(second);
                    from += if second { n } else { 0 };
                }
                Some(from)
            }
        };
        waiting.iter().position(|it| Some(input(it)) == granted)
    }

    /// An input was granted.
    pub fn granted(&mut self, arbiter: Arbiter, input: u32, inputs: u32) {
        match arbiter {
            Arbiter::Fair | Arbiter::FixedPriority => {}
            Arbiter::RoundRobin => self.last = Some(input),
            Arbiter::Tree => {
                let leaves = inputs.next_power_of_two();
                // An arbiter that has granted nothing takes its first side.
                self.second.resize(leaves as usize, true);
                let mut node = leaves + input;
                while node > 1 {
                    self.second[(node / 2) as usize] = node % 2 == 1;
                    node /= 2;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order in which 5 inputs that always ask are granted.
    fn order(arbiter: Arbiter, grants: usize) -> Vec<u32> {
        let waiting: VecDeque<u32> = [3, 1, 0, 4, 2].into();
        let mut of = Grants::default();
        let mut grant = || {
            let input = waiting[of.next(arbiter, &waiting, 5, |&input| input).unwrap()];
            of.granted(arbiter, input, 5);
            input
        };
        (0..grants).map(|_| grant()).collect()
    }

    #[test]
    fn inputs_that_always_ask() {
        assert_eq!(order(Arbiter::Fair, 3), [3, 3, 3]);
        assert_eq!(order(Arbiter::FixedPriority, 3), [0, 0, 0]);
        assert_eq!(order(Arbiter::RoundRobin, 7), [0, 1, 2, 3, 4, 0, 1]);
        // Eight leaves, of which 5 to 7 never ask: the root takes 0 to 3 and 4 in turn; the left side 0, 1 and 2, 3 in
        // turn, each of these its two.
        assert_eq!(order(Arbiter::Tree, 9), [0, 4, 2, 4, 1, 4, 3, 4, 0]);
    }

    #[test]
    fn an_arbiter_of_one_input_grants_it() {
        for arbiter in Arbiter::ALL {
            let mut of = Grants::default();
            let waiting: VecDeque<u32> = [0, 0].into();
            assert_eq!(of.next(arbiter, &waiting, 1, |&input| input), Some(0));
            of.granted(arbiter, 0, 1);
            assert_eq!(of.next(arbiter, &VecDeque::new(), 1, |&input: &u32| input), None);
        }
    }
}

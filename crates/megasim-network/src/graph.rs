//! Directed graphs: which nodes depend on each other.

/// The strongly connected components of a directed graph: of two nodes of one component, each can be reached from the
/// other. `successors` has the targets of each node's edges; an edge may be listed several times.
///
/// A component comes after all that can be reached from it; its nodes are in ascending order. By R. Tarjan, Depth-first
/// search and linear graph algorithms, SIAM Journal on Computing 1 (1972): linear in nodes and edges, and without
/// recursion, so that a long chain needs no stack.
///
/// ```
/// use megasim_network::graph::strongly_connected_components;
///
/// // 0 -> 1 -> 2 -> 1
/// assert_eq!(strongly_connected_components(&[vec![1], vec![2], vec![1]]), [vec![1, 2], vec![0]]);
/// ```
///
/// # Panics
/// If a target is not a node.
pub fn strongly_connected_components(successors: &[Vec<usize>]) -> Vec<Vec<usize>> {
    /// Larger than any number of a node.
    const IN_COMPONENT: usize = usize::MAX;
    // By order of discovery, from 1; 0: not discovered yet.
    let mut number = vec![0; successors.len()];
    // The least number that is known to be reached, among nodes of no component yet.
    let mut least = vec![0; successors.len()];
    let mut discovered = 0;
    let mut without_component = Vec::new();
    let mut components = Vec::new();
    for root in 0..successors.len() {
        if number[root] != 0 {
            continue;
        }
        // Each node on the way from the root, with the number of its edges that were followed.
        let mut way = vec![(root, 0)];
        while let Some((node, followed)) = way.last_mut() {
            let node = *node;
            if number[node] == 0 {
                discovered += 1;
                (number[node], least[node]) = (discovered, discovered);
                without_component.push(node);
            }
            if let Some(&target) = successors[node].get(*followed) {
                *followed += 1;
                if number[target] == 0 {
                    way.push((target, 0));
                } else {
                    least[node] = least[node].min(number[target]);
                }
                continue;
            }
            way.pop();
            if let Some(&(before, _)) = way.last() {
                least[before] = least[before].min(least[node]);
            }
            if least[node] == number[node] {
                let start = without_component.iter().rposition(|&it| it == node).unwrap_or(0);
                let mut component = without_component.split_off(start);
                component.iter().for_each(|&it| number[it] = IN_COMPONENT);
                component.sort_unstable();
                components.push(component);
            }
        }
    }
    components
}

/// The components of [`strongly_connected_components`] on which there is a cycle: those of several nodes, and nodes
/// with an edge to themselves.
///
/// ```
/// use megasim_network::graph::cyclic_components;
///
/// // 0 -> 1 -> 2 -> 1, 3 -> 3
/// assert_eq!(cyclic_components(&[vec![1], vec![2], vec![1], vec![3]]), [vec![1, 2], vec![3]]);
/// ```
///
/// # Panics
/// If a target is not a node.
pub fn cyclic_components(successors: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut components = strongly_connected_components(successors);
    components.retain(|nodes| nodes.len() > 1 || successors[nodes[0]].contains(&nodes[0]));
    components
}

#[cfg(test)]
mod tests {
    use super::strongly_connected_components;
    use proptest::prelude::*;

    /// Whether each node can be reached from each.
    fn reach(successors: &[Vec<usize>]) -> Vec<Vec<bool>> {
        let n = successors.len();
        let mut reach: Vec<Vec<bool>> = (0..n).map(|from| (0..n).map(|to| from == to).collect()).collect();
        for (from, targets) in successors.iter().enumerate() {
            targets.iter().for_each(|&to| reach[from][to] = true);
        }
        for by in 0..n {
            let from_by = reach[by].clone();
            for row in reach.iter_mut().filter(|row| row[by]) {
                row.iter_mut().zip(&from_by).for_each(|(it, &further)| *it |= further);
            }
        }
        reach
    }

    fn graphs() -> impl Strategy<Value = Vec<Vec<usize>>> {
        (1..12_usize).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(0..n, 0..4), n))
    }

    proptest! {
        #[test]
        fn components_reach_each_other_and_come_after_what_they_reach(successors in graphs()) {
            let reach = reach(&successors);
            let components = strongly_connected_components(&successors);
            let mut place = vec![None; successors.len()];
            for (at, component) in components.iter().enumerate() {
                prop_assert!(component.windows(2).all(|pair| pair[0] < pair[1]));
                for &node in component {
                    prop_assert_eq!(place[node].replace(at), None);
                }
            }
            for from in 0..successors.len() {
                for to in 0..successors.len() {
                    let together = reach[from][to] && reach[to][from];
                    prop_assert_eq!(place[from] == place[to], together);
                    prop_assert!(!reach[from][to] || place[to] <= place[from]);
                }
            }
        }
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let n = 1 << 20;
        let chain: Vec<Vec<usize>> = (0..n).map(|node| if node + 1 < n { vec![node + 1] } else { vec![0] }).collect();
        assert_eq!(strongly_connected_components(&chain).len(), 1);
    }
}

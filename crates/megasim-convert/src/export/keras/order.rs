//! The names under which Keras looks for the weights of layers.

use super::Node;
use std::collections::HashMap;

/// The name of each node's group: its class in snake case, from the second on with a number, counted in the order of
/// `Model.layers`. That is by falling depth (the longest way to the output), and among equals as a walk from the output
/// meets them (`map_graph` in `keras/src/ops/function.py`).
pub(super) fn saved_names(nodes: &[Node]) -> Vec<String> {
    let mut depths = vec![0usize; nodes.len()];
    for (k, node) in nodes.iter().enumerate().rev() {
        for &input in &node.inputs {
            depths[input] = depths[input].max(depths[k] + 1);
        }
    }
    let mut met = vec![usize::MAX; nodes.len()];
    let (mut count, mut ahead) = (0, vec![nodes.len().saturating_sub(1)]);
    while let Some(node) = ahead.pop() {
        if met[node] == usize::MAX {
            met[node] = count;
            count += 1;
            ahead.extend(nodes[node].inputs.iter().rev());
        }
    }
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|&k| (std::cmp::Reverse(depths[k]), met[k]));
    let mut used: HashMap<&str, usize> = HashMap::new();
    let mut names = vec![String::new(); nodes.len()];
    for k in order {
        let class = nodes[k].class;
        let number = used.entry(class).or_default();
        names[k] = match *number {
            0 => snake_case(class),
            number => format!("{}_{number}", snake_case(class)),
        };
        *number += 1;
    }
    names
}

/// As `to_snake_case` of `keras/src/utils/naming.py`.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().collect();
    let mut name = String::new();
    for (k, &letter) in letters.iter().enumerate() {
        let before = k.checked_sub(1).map(|k| letters[k]);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                let next_is_small = letters.get(k + 1).is_some_and(|next| next.is_lowercase());
                !before.is_uppercase() && !before.is_ascii_digit() || next_is_small && before.is_uppercase()
            });
        if starts_word {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    /// Names that Keras 3.15 has given.
    #[test]
    fn classes_in_snake_case() {
        let expected = [
            ("Conv2D", "conv2d"),
            ("Dense", "dense"),
            ("ReLU", "re_lu"),
            ("AveragePooling2D", "average_pooling2d"),
            ("MaxPooling2D", "max_pooling2d"),
            ("ZeroPadding2D", "zero_padding2d"),
            ("InputLayer", "input_layer"),
            ("UpSampling2D", "up_sampling2d"),
        ];
        for (class, name) in expected {
            assert_eq!(snake_case(class), name);
        }
    }
}

//! Where the weights of a layer are: by name in `.h5` files, by place in `.keras` archives.

use super::super::{ImportError, hdf5};
use ndarray::ArrayD;
use std::collections::HashMap;

/// The weights of a whole model.
pub(super) struct Weights {
    file: hdf5::File,
    kind: Kind,
}

enum Kind {
    /// `model_weights/LAYER` with an attribute `weight_names`, paths relative to that group; in a file of weights alone
    /// `LAYER`.
    ByName { root: &'static str },
    /// `layers/CLASS_k/vars/i`, layers of a class counted in the order of the configuration.
    ByPlace { root: &'static str },
}

/// Which layer's weights: the path of containers that lead to it.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// Name of the outermost layer and of the layer itself.
    outer: Option<String>,
    name: String,
    /// Path of the layer's group in an archive.
    path: String,
}

impl Scope {
    /// Whether a stored path is this layer's array of that name.
    fn matches(&self, path: &str, name: &str) -> bool {
        let mut parts = path.rsplit('/');
        let variable = parts.next().unwrap_or_default();
        let variable = variable.split_once(':').map_or(variable, |(variable, _)| variable);
        // Within a nested model all weights are in one list, and the part before gives the layer.
        variable == name && (self.outer.is_none() || parts.next() == Some(&self.name))
    }
}

impl Weights {
    pub(super) fn h5(file: hdf5::File, root: &'static str) -> Self {
        Self { file, kind: Kind::ByName { root } }
    }

    pub(super) fn archive(file: hdf5::File) -> Self {
        // Keras 2.12 named the container after an internal attribute.
        let old = "_layer_checkpoint_dependencies";
        let root = if !file.has_group("layers") && file.has_group(old) { old } else { "layers" };
        Self { file, kind: Kind::ByPlace { root } }
    }

    /// The arrays of a layer, in the order of `names` (all that the layer has).
    pub(super) fn read(&self, scope: &Scope, names: &[&str]) -> Result<Vec<ArrayD<f32>>, ImportError> {
        match self.kind {
            Kind::ByName { root } => self.read_by_name(root, scope, names),
            Kind::ByPlace { .. } => self.read_by_place(scope, names),
        }
    }

    /// Whether a layer has an array of this name; where arrays have no names, whether the name is the usual one.
    pub(super) fn has(&self, scope: &Scope, name: &str) -> Result<bool, ImportError> {
        match self.kind {
            Kind::ByName { root } => Ok(self.stored(root, scope)?.1.iter().any(|path| scope.matches(path, name))),
            Kind::ByPlace { .. } => Ok(true),
        }
    }

    /// The group of a layer (or of the model that it is in) and the paths of its arrays.
    fn stored(&self, root: &str, scope: &Scope) -> Result<(String, Vec<String>), ImportError> {
        let group = format!("{root}{}", scope.outer.as_ref().unwrap_or(&scope.name));
        let stored = self.file.attributes(&group)?.strings("weight_names")?;
        Ok((group, stored))
    }

    fn read_by_name(&self, root: &str, scope: &Scope, names: &[&str]) -> Result<Vec<ArrayD<f32>>, ImportError> {
        let (group, stored) = self.stored(root, scope)?;
        let find = |name: &&str| {
            let mut found = stored.iter().filter(|path| scope.matches(path, name));
            match (found.next(), found.next()) {
                (Some(path), None) => self.file.array(&format!("{group}/{path}")),
                (first, _) => {
                    let count = if first.is_some() { "several" } else { "none" };
                    let layer = &scope.name;
                    let message =
                        format!("expected one weight '{name}' of layer '{layer}', found {count} in {stored:?}");
                    Err(ImportError::damaged(format!("HDF5 '{group}'"), message))
                }
            }
        };
        names.iter().map(find).collect()
    }

    fn read_by_place(&self, scope: &Scope, names: &[&str]) -> Result<Vec<ArrayD<f32>>, ImportError> {
        let mut group = format!("{}/vars", scope.path);
        // Written on Windows by Keras 2, whose paths became names of groups.
        let windows = format!("{}/vars", scope.path.replace('/', "\\"));
        if !self.file.has_group(&group) && self.file.has_group(&windows) {
            group = windows;
        }
        // Keras 3 notes the layer's name, which shows a file whose parts do not belong together.
        if let Some(name) = self.file.attributes(&group)?.string("name")
            && name != scope.name
        {
            let message = format!("expected the weights of layer '{}', found those of '{name}'", scope.name);
            return Err(ImportError::damaged(format!("model.weights.h5 '{group}'"), message));
        }
        (0..names.len()).map(|place| self.file.array(&format!("{group}/{place}"))).collect()
    }
}

/// Gives each layer of a container its scope.
pub(super) struct Scopes {
    outer: Option<String>,
    root: String,
    counts: HashMap<String, usize>,
}

impl Scopes {
    /// For the layers of the model itself.
    pub(super) fn new(weights: &Weights) -> Self {
        let root = match weights.kind {
            Kind::ByName { .. } => "",
            Kind::ByPlace { root } => root,
        };
        Self { outer: None, root: root.into(), counts: HashMap::new() }
    }

    /// For the layers of a model within a model.
    pub(super) fn nested(&self, scope: &Scope) -> Self {
        let outer = self.outer.clone().unwrap_or_else(|| scope.name.clone());
        Self { outer: Some(outer), root: format!("{}/layers", scope.path), counts: HashMap::new() }
    }

    /// The next layer of the container.
    pub(super) fn next(&mut self, class: &str, name: &str) -> Scope {
        let snake = snake_case(class);
        let count = self.counts.entry(snake.clone()).or_default();
        let path =
            if *count == 0 { format!("{}/{snake}", self.root) } else { format!("{}/{snake}_{count}", self.root) };
        *count += 1;
        Scope { outer: self.outer.clone(), name: name.into(), path }
    }
}

/// Keras's own rule: an underscore before a capital that starts a lower-case word, and between a lower-case letter
/// and a capital.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    let mut snake = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let starts_word = letters.get(i + 1).is_some_and(char::is_ascii_lowercase);
        let ends_word = i > 0 && letters[i - 1].is_ascii_lowercase();
        if i > 0 && letter.is_ascii_uppercase() && (starts_word || ends_word) {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn class_names_become_group_names() {
        for (class, group) in [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("BatchNormalization", "batch_normalization"),
            ("ReLU", "re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("SeparableConv2D", "separable_conv2d"),
        ] {
            assert_eq!(snake_case(class), group);
        }
    }
}

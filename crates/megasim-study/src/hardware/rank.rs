//! How exact the words of a table are that select modules.

/// Kinds of layers, as `[layer.conv]` has them.
pub(super) const LAYER_KINDS: [&str; 5] = ["conv", "dense", "pool", "flatten", "softmax"];

/// Roles of layers. Of links `from`, `input` is the sources that are input.
pub(super) const ROLES: [&str; 3] = ["first", "last", "input"];

/// How particular a pattern of a layer is: of two that match, the more particular one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Kind,
    Role,
    Name,
}

impl Rank {
    pub fn of(pattern: &str) -> Self {
        if LAYER_KINDS.contains(&pattern) {
            Self::Kind
        } else if ROLES.contains(&pattern) {
            Self::Role
        } else {
            Self::Name
        }
    }
}

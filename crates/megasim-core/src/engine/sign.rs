//! Whether an event adds weights or takes them away.

/// Whether weights are added or subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Added.
    Plus,
    /// Subtracted.
    Minus,
}

impl Sign {
    /// `v + w` or `v - w`, modulo 2^32.
    #[inline(always)]
    pub(super) fn add(self, v: i32, w: i32) -> i32 {
        match self {
            Self::Plus => v.wrapping_add(w),
            Self::Minus => v.wrapping_sub(w),
        }
    }

    /// +1 or -1.
    pub fn factor(self) -> i64 {
        match self {
            Self::Plus => 1,
            Self::Minus => -1,
        }
    }
}

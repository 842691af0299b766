//! How samples are brought to the input of a network.

use super::Shape;

/// What a network says of its input beyond its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct InputForm {
    /// Order of the axes of a sample.
    pub axes: DeclaredAxes,
    /// What bytes become.
    pub scaling: InputScaling,
}

impl InputForm {
    /// An input of these axes and this scaling.
    pub fn new(axes: DeclaredAxes, scaling: InputScaling) -> Self {
        Self { axes, scaling }
    }
}

/// What becomes of numbers from 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputScaling {
    /// Bytes are divided by 255, other numbers taken as they are.
    #[default]
    Unit,
    /// The network scales them itself: they are taken as they are.
    OfTheModel,
}

impl InputScaling {
    /// What bytes are divided by.
    pub(super) fn divisor(self) -> f32 {
        match self {
            Self::Unit => 255.0,
            Self::OfTheModel => 1.0,
        }
    }
}

/// Which of `(channels, height, width)` each axis of a sample is, as a model file declares its input; by default
/// unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeclaredAxes {
    axes: [usize; 3],
    rank: usize,
}

impl DeclaredAxes {
    /// Of these axes, each below 3 and there once; others are taken as unknown.
    ///
    /// ```
    /// use megasim_data::DeclaredAxes;
    /// let sequence = DeclaredAxes::new(&[2, 0]);
    /// assert_eq!(sequence.axes(), [2, 0]);
    /// assert_eq!(DeclaredAxes::new(&[0, 0]), DeclaredAxes::default());
    /// ```
    pub fn new(declared: &[usize]) -> Self {
        let mut axes = [0; 3];
        let fits = |axis: usize| declared.iter().filter(|&&own| own == axis).count() <= 1;
        if declared.len() > 3 || !(0..3).all(fits) || declared.iter().any(|&axis| axis > 2) {
            return Self::default();
        }
        axes[..declared.len()].copy_from_slice(declared);
        Self { axes, rank: declared.len() }
    }

    /// The axes in the order of the file; none where they are unknown.
    pub fn axes(&self) -> &[usize] {
        &self.axes[..self.rank]
    }

    /// Sizes of a sample as it is declared, and how far apart the cells along `(channels, height, width)` are in it;
    /// none where that is unknown.
    pub(super) fn strides(&self, shape: Shape) -> Option<(Vec<usize>, [usize; 3])> {
        let Shape::Maps { channels, height, width } = shape else { return None };
        let sizes = [channels, height, width];
        if self.rank == 0 || (0..3).any(|axis| sizes[axis] > 1 && !self.axes().contains(&axis)) {
            return None;
        }
        let mut strides = [0; 3];
        let mut step = 1;
        for &axis in self.axes().iter().rev() {
            strides[axis] = step;
            step *= sizes[axis];
        }
        Some((self.axes().iter().map(|&axis| sizes[axis]).collect(), strides))
    }
}

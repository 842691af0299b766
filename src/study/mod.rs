//! Many runs to one table.

pub mod classification;
pub mod compare;
pub mod layers;
pub mod material;
pub mod statistics;

//! Many runs to one table.

pub mod classification;

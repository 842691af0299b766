//! Single-spike networks: the event-driven pieces against recordings of SpykeTorch and against a plain dense form.

mod dense;
mod descriptions;
mod equal;
mod golden;
mod lines;
mod netlist;
#[allow(dead_code)]
#[path = "../common/npy.rs"]
mod npy;

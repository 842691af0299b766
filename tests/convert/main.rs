//! Conversion: netfiles, spike rates against activations, stages, exports, recordings of other simulators.

mod channel_scales;
mod compare;
mod converted_model;
mod digits;
mod export_nir;
mod netfiles;
mod nir;
#[allow(dead_code)]
#[path = "../common/npy.rs"]
mod npy;
mod presets;
mod quantised;
mod random_networks;
mod rates;
mod spike_codes;
mod stages;
mod verify;

//! Conversion: netfiles, spike rates against activations, stages, exports, recordings of other simulators.

mod channel_scales;
mod compare;
mod converted_model;
mod digits;
mod export_nir;
mod netfiles;
mod nir;
mod presets;
mod quantised;
mod random_networks;
mod rates;
mod spike_codes;
mod stages;
mod verify;

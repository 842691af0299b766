#![no_main]

megasim_fuzz::fuzz_reader!("keras_h5");

//! What the fuzz targets share.

#[path = "../../tests/trust/readers.rs"]
pub mod readers;

pub use libfuzzer_sys::fuzz_target;

/// A target that reads files of one kind, by the name of its reader.
#[macro_export]
macro_rules! fuzz_reader {
    ($name:literal) => {
        $crate::fuzz_target!(|bytes: &[u8]| $crate::read($name, bytes));
    };
}

/// Reads a file; a message is fine, a panic or an endless loop is found by libFuzzer.
pub fn read(name: &str, bytes: &[u8]) {
    let reader = readers::READERS.iter().find(|reader| reader.name == name).expect("a reader of this name");
    let directory = tempfile::tempdir().expect("a scratch directory");
    if let Err(message) = (reader.read)(directory.path(), bytes) {
        assert!(!message.is_empty() && message.len() < 1 << 16, "a message of {} bytes", message.len());
    }
}

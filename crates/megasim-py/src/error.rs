//! Errors of the library as Python exceptions with its words.

use megasim::cli::options::Refusal;
use pyo3::PyErr;
use pyo3::create_exception;
use pyo3::exceptions::{PyFileExistsError, PyFileNotFoundError, PyOSError, PyPermissionError, PyValueError};
use std::error::Error;
use std::io;
use std::path::Path;

create_exception!(
    megasim,
    ConversionError,
    PyValueError,
    "A trained network, or one of its layers, that has no spiking form, or a conversion that cannot be made."
);

/// What the system said, where an error comes from there.
fn system(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        at = error.source();
    }
    None
}

/// `OSError`, where the system refused; else another exception.
fn raise(message: String, system: Option<io::ErrorKind>, other: impl FnOnce(String) -> PyErr) -> PyErr {
    match system {
        // Damaged content is reported by readers as an error of reading, too.
        Some(io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput) | None => {
            other(message)
        }
        Some(io::ErrorKind::NotFound) => PyFileNotFoundError::new_err(message),
        Some(io::ErrorKind::PermissionDenied) => PyPermissionError::new_err(message),
        Some(io::ErrorKind::AlreadyExists) => PyFileExistsError::new_err(message),
        Some(_) => PyOSError::new_err(message),
    }
}

/// `OSError` or `ValueError`.
pub fn value(error: impl Error + 'static) -> PyErr {
    raise(error.to_string(), system(&error), PyValueError::new_err)
}

/// `OSError` or `ConversionError`.
pub fn conversion(error: impl Error + 'static) -> PyErr {
    raise(error.to_string(), system(&error), ConversionError::new_err)
}

/// `OSError` where a file cannot be opened, whose reader reports it; else `ConversionError`.
pub fn model(path: &Path, error: impl Error + 'static) -> PyErr {
    let message = error.to_string();
    match std::fs::File::open(path) {
        Err(system) if system.kind() == io::ErrorKind::NotFound => PyFileNotFoundError::new_err(message),
        Err(system) if system.kind() == io::ErrorKind::PermissionDenied => PyPermissionError::new_err(message),
        Err(_) => PyOSError::new_err(message),
        Ok(_) => conversion(error),
    }
}

/// `OSError` or `ValueError` of options.
pub fn refusal(refusal: Refusal) -> PyErr {
    raise(refusal.message, refusal.system, PyValueError::new_err)
}

/// `ValueError` of a message.
pub fn message(text: String) -> PyErr {
    PyValueError::new_err(text)
}

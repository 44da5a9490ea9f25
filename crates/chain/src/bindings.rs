//! The contracts' interfaces.

/// Name and fields of an error of one of our contracts.
pub(crate) fn error_name(data: &[u8]) -> Option<String> {
    let _ = data;
    None
}

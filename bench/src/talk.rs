//! What a person reads while it is measured.

/// Says how far it is, on stderr. That nobody listens is no reason to stop measuring.
macro_rules! talk {
    ($($words:tt)+) => {{
        let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{}\n", format_args!($($words)+)).as_bytes());
    }};
}
pub(crate) use talk;

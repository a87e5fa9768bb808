#![no_main]

#[allow(dead_code, unused_imports, reason = "the parsers are a part of it")]
#[path = "../../crates/service/src/config/mod.rs"]
mod config;
#[path = "../../crates/service/src/config/hostile.rs"]
mod hostile;

/// Stands in for the binary's module of the same name, whose hints no parser reads.
mod exit {
    pub(crate) fn hinted(error: impl Into<anyhow::Error>, _hint: impl Into<String>) -> anyhow::Error {
        error.into()
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read(bytes));

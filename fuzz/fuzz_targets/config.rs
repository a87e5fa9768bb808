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

/// Stands in for the binary's module of the same name: policies are read by a parser of others.
mod authorization {
    use std::path::Path;

    #[allow(dead_code, reason = "no parser of the configuration opens the directory")]
    pub(crate) struct Policies;

    #[allow(dead_code, reason = "no parser of the configuration opens the directory")]
    impl Policies {
        pub(crate) fn built_in() -> Self {
            Self
        }

        pub(crate) fn load(_dir: &Path) -> anyhow::Result<Self> {
            Ok(Self)
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read(bytes));

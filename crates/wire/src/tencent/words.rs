//! Words: enums whose values are fixed words on the wire.

/// Declares an enum of words that is written by its word, and read when `Parameter` is wanted.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $wire:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $wire, "`.")] $(#[$about])* $variant,)*
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $wire,)*
                }
            }

            /// The value of a word, if it has one.
            pub fn find(word: &str) -> Option<Self> {
                match word {
                    $($wire => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl $crate::tencent::Parameter for $name {
            fn read(
                given: &serde_json::Value,
                place: $crate::tencent::Place<'_>,
                reading: &mut $crate::tencent::Reading,
            ) -> Option<Self> {
                let word = <String as $crate::tencent::Parameter>::read(given, place, reading)?;
                Self::find(&word).or_else(|| reading.bad_word(place, &[$($wire),*]))
            }
        }
    };
}
pub(crate) use words;

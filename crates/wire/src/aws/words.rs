//! Words: enums whose values are fixed words on the wire.

/// Declares an enum of words that is written by its word, and read from it.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $wire:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $(#[doc = concat!("`", $wire, "`.")] $(#[$about])* #[serde(rename = $wire)] $variant,)*
        }

        impl $name {
            /// Every value, in the order of the model.
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

        impl $crate::aws::shape::Shape for $name {
            fn read(given: serde_json::Value, reader: &mut $crate::aws::shape::Reader) -> Option<Self> {
                reader.word(given, &[$($wire),*], Self::find)
            }
        }
    )*};
}
pub(crate) use words;

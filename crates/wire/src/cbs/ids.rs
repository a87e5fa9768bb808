//! Ids of CBS: a prefix and eight characters, e.g. `snap-ckgjwkqh`.
//!
//! The API publishes no pattern, so an id of another form is not an error of its own: nothing has it.

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const TAIL_LEN: usize = 8;

/// The form of one kind of id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdForm {
    /// `snap-…`
    Snapshot,
    /// `disk-…`
    Disk,
    /// `asp-…`
    AutoSnapshotPolicy,
    /// `ins-…`
    Instance,
}

impl IdForm {
    /// What ids of this kind begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Snapshot => "snap-",
            Self::Disk => "disk-",
            Self::AutoSnapshotPolicy => "asp-",
            Self::Instance => "ins-",
        }
    }

    /// Whether an id of this kind can be `text`.
    pub fn matches(self, text: &str) -> bool {
        let tail = text.strip_prefix(self.prefix());
        tail.is_some_and(|tail| tail.len() == TAIL_LEN && tail.bytes().all(|b| ALPHABET.contains(&b)))
    }

    /// Makes an id out of random bytes.
    pub fn mint(self, random: [u8; TAIL_LEN]) -> String {
        let character = |byte: u8| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]);
        self.prefix().chars().chain(random.into_iter().map(character)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_ids_have_the_form_of_their_kind() {
        assert!(IdForm::Snapshot.matches("snap-ckgjwkqh"));
        assert!(IdForm::AutoSnapshotPolicy.matches(&IdForm::AutoSnapshotPolicy.mint([0, 1, 35, 36, 255, 7, 8, 9])));
        for text in ["snap-", "snap-ckgjwkq", "snap-ckgjwkqhh", "disk-ckgjwkqh", "snap-CKGJWKQH", "snap-ckgjwkqé"] {
            assert!(!IdForm::Snapshot.matches(text), "{text}");
        }
    }
}

//! A part of all packs, such as the third of twenty-eight.

use std::str::FromStr;

use model::PackId;

/// One of so many parts of all packs, each of which is in one of them, and stays there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which one, from 0.
    index: u32,
    of: u32,
}

/// What is no part.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no part of all packs: write K/N, such as 3/28, with K from 1 to N")]
pub struct InvalidPart(String);

impl Part {
    /// Whether a pack is in it. Their ids are random: the parts are about equally large.
    pub(super) fn has(self, pack: &PackId) -> bool {
        let [a, b, c, d, ..] = pack.0;
        u32::from_be_bytes([a, b, c, d]) % self.of == self.index
    }
}

impl FromStr for Part {
    type Err = InvalidPart;

    fn from_str(given: &str) -> Result<Self, InvalidPart> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
        let numbers = given.split_once('/').and_then(|(number_of, of)| Some((number(number_of)?, number(of)?)));
        match numbers {
            Some((which, of)) if which <= of => Ok(Self { index: which - 1, of }),
            _ => Err(InvalidPart(given.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn each_pack_is_in_one_part_and_each_part_has_its_share() {
        let parts: Vec<Part> = (1..=7).map(|which| format!("{which}/7").parse().unwrap()).collect();
        let mut counts = [0; 7];
        for _ in 0..7_000 {
            let pack = PackId(rand::rng().random());
            let having: Vec<usize> = (0..7).filter(|part| parts[*part].has(&pack)).collect();
            let [part] = having[..] else { panic!("{pack} is in the parts {having:?}") };
            counts[part] += 1;
        }
        assert!(counts.iter().all(|count| (700..1300).contains(count)), "{counts:?}");
        assert!("1/1".parse::<Part>().unwrap().has(&PackId([255; 16])));
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for bad in ["", "3", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/2/3", "1/4294967296"] {
            assert_eq!(bad.parse::<Part>(), Err(InvalidPart(bad.to_owned())));
        }
    }
}

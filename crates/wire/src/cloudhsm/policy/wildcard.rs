//! Patterns of policies, in which a star stands for any text.

/// Whether a pattern covers a text: `*` stands for any bytes, `?` for one.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // The last star, and where in the text what follows it was tried. Going back there and no further is enough,
    // which keeps the work within the product of both lengths.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&b) if b == b'?' || b == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, tried)) = star else { return false };
                star = Some((at, tried + 1));
                p = at + 1;
                t = tried + 1;
            }
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stand_for_any_bytes() {
        let cases =
            [("", "", true), ("*", "", true), ("a*c", "abbc", true), ("a?c", "abc", true), ("a?c", "ac", false)];
        for (pattern, text, is_match) in cases {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
        assert!(matches("*ab*ab*", "xxabyabz") && !matches("*ab*ab", "abxxaby"));
        let long = "a".repeat(2_000);
        assert!(!matches(&("a*".repeat(1_000) + "b"), &long));
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_its_prefixes_with_a_star(text in "[a-z:/]{0,20}", cut in 0_usize..20) {
            let cut = cut.min(text.len());
            prop_assert!(matches(&text, &text));
            let with_star = format!("{}*", &text[..cut]);
            prop_assert!(matches(&with_star, &text));
        }
    }
}

//! Batches: long lists of ids asked about in queries of bounded size.
//!
//! A batch is padded to a power of two by repeating its last item, which changes nothing about
//! `IN (…)`. So nine texts of each query exist, and all stay in the cache of prepared statements.

use std::iter;

/// The largest batch: far below both engines' limits on parameters, and large enough that the query's
/// own cost no longer counts.
const BATCH_MAX: usize = 256;

/// Splits `items` into padded batches, in order: neighbours in an index are then met together, which
/// on long lists of random ids saves most of the page reads and writes.
pub(crate) fn batches<T: Copy + Ord>(items: &[T]) -> impl Iterator<Item = Vec<T>> {
    let mut items = items.to_vec();
    items.sort_unstable();
    let mut from = 0;
    iter::from_fn(move || {
        let chunk = &items[from..items.len().min(from + BATCH_MAX)];
        let last = *chunk.last()?;
        from += chunk.len();
        let mut batch = chunk.to_vec();
        batch.resize(chunk.len().next_power_of_two(), last);
        Some(batch)
    })
}

/// Writes `count` parameters in a row: `$3, $4, $5` for `first` 3 and `count` 3.
pub(crate) fn parameters(first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|number| format!("${number}")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_item_and_have_few_sizes() {
        let items: Vec<u32> = (0..1000).collect();
        let reversed: Vec<u32> = items.iter().rev().copied().collect();
        let all: Vec<Vec<u32>> = batches(&reversed).collect();
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [256, 256, 256, 256]);
        let mut seen: Vec<u32> = all.concat();
        seen.dedup();
        assert_eq!(seen, items);
        assert_eq!(batches::<u32>(&[]).count(), 0);
    }

    #[test]
    fn parameters_count_from_the_first() {
        assert_eq!(parameters(3, 3), "$3, $4, $5");
    }
}

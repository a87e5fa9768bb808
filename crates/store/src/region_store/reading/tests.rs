//! Reading from a store some of whose answers break off, hang or come late. Time passes only where all wait.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Mutex;

use async_trait::async_trait;
use futures::FutureExt;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use super::*;
use crate::error::StoreErrorKind;

/// What is wrong with one answer.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Its body is cut off after so many bytes.
    BreaksOff(usize),
    /// It ends after so many bytes as if it were whole.
    EndsEarly(usize),
    /// It has a head, and fails without a body after this time.
    BreaksOffAfter(Duration),
    /// Nothing more comes after so many bytes.
    Hangs(usize),
    /// It comes after this time.
    Late(Duration),
    /// Never comes.
    Lost,
}

/// A store with one object, whose answers have the faults of a list; the others have none.
#[derive(Debug, Default)]
struct Faulty {
    inner: InMemory,
    faults: Mutex<VecDeque<Fault>>,
    /// The ranges that were asked for.
    asked: Mutex<Vec<Option<Range<u64>>>>,
    has_no_tags: bool,
}

const LEN: u64 = 4 << 20;

fn key() -> Path {
    Path::from("pack")
}

fn bytes() -> Bytes {
    (0..LEN).map(|n| (n % 251) as u8).collect()
}

impl Faulty {
    async fn with(faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        let faulty = Self { faults: Mutex::new(faults.into_iter().collect()), ..Self::default() };
        faulty.inner.put(&key(), bytes().into()).await.unwrap();
        Arc::new(faulty)
    }

    async fn open(self: &Arc<Self>, habits: &Habits) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.open_with(habits, &Rest::default()).await
    }

    async fn open_with(self: &Arc<Self>, habits: &Habits, rest: &Rest) -> Result<BoxStream<'static, Result<Bytes>>> {
        read(Arc::clone(self) as Arc<dyn ObjectStore>, key(), habits.clone(), rest.clone()).await
    }

    async fn read(self: &Arc<Self>, habits: &Habits) -> Result<Vec<u8>> {
        let parts: Vec<Bytes> = self.open(habits).await?.try_collect().await?;
        Ok(parts.concat())
    }

    /// What was asked for since the last time this was.
    fn asked(&self) -> Vec<Range<u64>> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.into_iter().map(|range| range.unwrap_or(0..LEN)).collect()
    }

    /// Where the requests began that have come since the last time this was asked. All go to the end.
    fn asked_from(&self) -> Vec<u64> {
        let begin = |range: Range<u64>| {
            assert_eq!(range.end, LEN);
            range.start
        };
        self.asked().into_iter().map(begin).collect()
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

/// The body in small parts, as a network brings them, with its fault.
fn body(whole: Bytes, fault: Option<Fault>) -> BoxStream<'static, Result<Bytes>> {
    let parts = |bytes: Bytes| {
        let parts: Vec<Result<Bytes>> = bytes.chunks(50_000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        stream::iter(parts)
    };
    let until = |end: usize| parts(whole.slice(..end.min(whole.len())));
    let broken = || Err(Error::Generic { store: "faulty", source: "it broke off".into() });
    match fault {
        Some(Fault::BreaksOff(at)) => until(at).chain(stream::iter([broken()])).boxed(),
        Some(Fault::BreaksOffAfter(time)) => stream::once(tokio::time::sleep(time).map(move |()| broken())).boxed(),
        Some(Fault::EndsEarly(at)) => until(at).boxed(),
        Some(Fault::Hangs(at)) => until(at).chain(stream::pending()).boxed(),
        Some(Fault::Late(_) | Fault::Lost) | None => parts(whole).boxed(),
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let range = match &options.range {
            Some(GetRange::Bounded(range)) => Some(range.clone()),
            None => None,
            other => panic!("{other:?}"),
        };
        self.asked.lock().unwrap().push(range);
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            Some(Fault::Late(time)) => tokio::time::sleep(time).await,
            Some(Fault::Lost) => std::future::pending().await,
            _ => {}
        }
        let mut got = self.inner.get_opts(location, options).await?;
        if self.has_no_tags {
            got.meta.e_tag = None;
        }
        let (meta, range, attributes, extensions) =
            (got.meta.clone(), got.range.clone(), got.attributes.clone(), got.extensions.clone());
        let payload = GetResultPayload::Stream(body(got.bytes().await?, fault));
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[tokio::test(start_paused = true)]
async fn one_request_reads_all_where_nothing_goes_wrong() {
    let store = Faulty::with([]).await;
    assert!(store.read(&Habits::default()).await.unwrap() == bytes());
    assert_eq!(store.asked_from(), [0]);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off_goes_on_from_the_byte_that_was_reached() {
    for fault in [Fault::BreaksOff, Fault::EndsEarly] {
        let store = Faulty::with([fault(100_000), fault(0), fault(200_001)]).await;
        assert!(store.read(&Habits::default()).await.unwrap() == bytes());
        assert_eq!(store.asked_from(), [0, 100_000, 100_000, 300_001]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_breaks_off_again_and_again_is_given_up_unless_it_gets_there() {
    let store = Faulty::with(vec![Fault::BreaksOff(600_000); 20]).await;
    assert!(store.read(&Habits::default()).await.unwrap() == bytes());
    assert_eq!(store.asked_from().len(), 7);
    let store = Faulty::with(vec![Fault::BreaksOff(100_000); 20]).await;
    let error = store.read(&Habits::default()).await.unwrap_err();
    assert_eq!(StoreErrorKind::of(&error), StoreErrorKind::Unavailable);
    assert_eq!(store.asked_from().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_hangs_is_asked_for_once_more_and_the_first_to_bring_bytes_stays() {
    for (fault, from) in [(Fault::Hangs(1_000_000), 1_000_000), (Fault::Hangs(0), 0), (Fault::Lost, 0)] {
        let store = Faulty::with([fault]).await;
        let begun = Instant::now();
        assert!(store.read(&Habits::default()).await.unwrap() == bytes());
        assert_eq!((store.asked_from(), begun.elapsed().as_secs()), (vec![0, from], 2), "{fault:?}");
    }
    // The first was only late.
    let store = Faulty::with([Fault::Late(Duration::from_secs(3)), Fault::Lost]).await;
    let begun = Instant::now();
    assert!(store.read(&Habits::default()).await.unwrap() == bytes());
    assert_eq!((store.asked_from(), begun.elapsed().as_secs()), (vec![0, 0], 3));
}

/// The second one is late, and meanwhile the first breaks off.
#[tokio::test(start_paused = true)]
async fn of_two_requests_one_may_fail() {
    let faults = [Fault::BreaksOffAfter(Duration::from_secs(3)), Fault::Late(Duration::from_secs(5))];
    let store = Faulty::with(faults).await;
    let begun = Instant::now();
    assert!(store.read(&Habits::default()).await.unwrap() == bytes());
    assert_eq!((store.asked_from(), begun.elapsed().as_secs()), (vec![0, 0], 7));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_altogether_is_not_asked_twice_for_everything() {
    let store = Faulty::with(vec![Fault::Late(Duration::from_secs(4)); 200]).await;
    let habits = Habits::default();
    for _ in 0..100 {
        assert!(store.read(&habits).await.unwrap() == bytes());
    }
    let requests = store.asked_from().len();
    assert!((101..=106).contains(&requests), "{requests}");
    assert!(habits.patience() > Duration::from_secs(10), "it is known to be slow");
}

#[tokio::test(start_paused = true)]
async fn a_read_without_progress_fails() {
    for fault in [Fault::Lost, Fault::Hangs(0), Fault::Hangs(50_000)] {
        let store = Faulty::with([fault, Fault::Lost, Fault::Lost]).await;
        let begun = Instant::now();
        let error = store.read(&Habits::default()).await.unwrap_err();
        assert_eq!(StoreErrorKind::of(&error), StoreErrorKind::Unavailable);
        assert_eq!((begun.elapsed(), store.asked_from().len()), (SILENCE_MAX, 2), "{fault:?}");
    }
}

/// Whoever takes long to take the bytes is not silence of the store's.
#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_its_time_is_waited_for() {
    let store = Faulty::with([]).await;
    let mut parts = store.open(&Habits::default()).await.unwrap();
    let mut read = Vec::new();
    while let Some(part) = parts.try_next().await.unwrap() {
        read.extend_from_slice(&part);
        tokio::time::advance(2 * SILENCE_MAX).await;
    }
    assert!(read == bytes());
    assert_eq!(store.asked_from(), [0]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_replaced_meanwhile_is_not_read_on() {
    for has_no_tags in [false, true] {
        for fault in [Fault::BreaksOff(100_000), Fault::EndsEarly(100_000)] {
            let faulty = Faulty { faults: Mutex::new([fault].into()), has_no_tags, ..Faulty::default() };
            faulty.inner.put(&key(), bytes().into()).await.unwrap();
            let store = Arc::new(faulty);
            let parts = store.open(&Habits::default()).await.unwrap();
            store.inner.put(&key(), [bytes(), bytes()].concat().into()).await.unwrap();
            let error = parts.try_collect::<Vec<Bytes>>().await.unwrap_err();
            assert_eq!(StoreErrorKind::of(&error), StoreErrorKind::Unavailable, "{error}");
            assert_eq!(store.asked_from(), [0, 100_000]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_meanwhile_is_missing() {
    let store = Faulty::with([Fault::BreaksOff(100_000)]).await;
    let parts = store.open(&Habits::default()).await.unwrap();
    store.inner.delete(&key()).await.unwrap();
    let error = parts.try_collect::<Vec<Bytes>>().await.unwrap_err();
    assert_eq!(StoreErrorKind::of(&error), StoreErrorKind::NotFound);
    let error = store.read(&Habits::default()).await.unwrap_err();
    assert_eq!(StoreErrorKind::of(&error), StoreErrorKind::NotFound);
}

/// Reads all of a store, the rest of which is split once its first answer is there.
async fn read_split(faults: impl IntoIterator<Item = Fault>) -> (Vec<u8>, Vec<Range<u64>>) {
    let (store, rest) = (Faulty::with(faults).await, Rest::default());
    let parts = store.open_with(&Habits::default(), &rest).await.unwrap();
    assert_eq!(rest.bytes(), LEN);
    rest.split();
    let parts: Vec<Bytes> = parts.try_collect().await.unwrap();
    assert_eq!(rest.bytes(), 0);
    (parts.concat(), store.asked())
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_object_can_come_by_a_request_of_its_own() {
    // The first request brings its half, and would bring no more.
    let (half, in_half) = (LEN / 2, Fault::Hangs(2 << 20));
    let late = Fault::Late(Duration::from_secs(1));
    for (faults, asked_once_more) in [
        (vec![], None),
        (vec![Fault::Hangs(1_000_000)], Some(1_000_000..half)),
        (vec![Fault::BreaksOff(1_000_000), late], Some(1_000_000..half)),
        (vec![in_half, Fault::BreaksOff(300_000)], Some(half + 300_000..LEN)),
        (vec![in_half, Fault::EndsEarly(0)], Some(half..LEN)),
        (vec![in_half, Fault::Hangs(0)], Some(half..LEN)),
    ] {
        let (read, asked) = read_split(faults.clone()).await;
        assert!(read == bytes(), "{faults:?}");
        let expected: Vec<_> = [0..LEN, half..LEN].into_iter().chain(asked_once_more).collect();
        assert_eq!(asked, expected, "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_short_is_not_split() {
    let (store, rest) = (Faulty::with([]).await, Rest::default());
    let mut parts = store.open_with(&Habits::default(), &rest).await.unwrap();
    let first = parts.try_next().await.unwrap().unwrap();
    rest.split();
    let others: Vec<Bytes> = parts.try_collect().await.unwrap();
    assert!([&[first][..], &others].concat().concat() == bytes());
    assert_eq!(store.asked_from(), [0]);
}

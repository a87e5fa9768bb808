//! When a packet reaches the other end, or that it is dropped. Pure: times and sizes in, times out.

use std::time::Duration;

use super::LinePlan;

/// One direction of a line.
///
/// The queue is not kept as packets: at a fixed rate, what waits in it is the time until the line is free.
#[derive(Debug)]
pub(super) struct Pacer {
    bits_per_second: u64,
    delay: Duration,
    /// How long it takes to send a full queue.
    wait_max: Duration,
    /// When all that was taken in will have been sent.
    free_at: Duration,
}

impl Pacer {
    pub(super) fn new(plan: &LinePlan) -> Self {
        let wait_max = sending(plan.queue_bytes, plan.bits_per_second);
        Self { bits_per_second: plan.bits_per_second, delay: plan.round_trip / 2, wait_max, free_at: Duration::ZERO }
    }

    /// When a packet that comes at `now` arrives at the other end; `None` when it finds the queue full. Times are since
    /// some moment before the first packet.
    pub(super) fn take(&mut self, now: Duration, bytes: usize) -> Option<Duration> {
        let sent_at = self.free_at.max(now) + sending(bytes as u64, self.bits_per_second);
        if sent_at - now > self.wait_max {
            return None;
        }
        self.free_at = sent_at;
        Some(sent_at + self.delay)
    }
}

/// How long the line is busy with so many bytes.
fn sending(bytes: u64, bits_per_second: u64) -> Duration {
    let nanoseconds = u128::from(bytes) * 8_000_000_000 / u128::from(bits_per_second.max(1));
    Duration::from_nanos(nanoseconds.try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 ms a packet of 1,000 bytes, 40 ms to the other end, four packets in the queue.
    fn pacer() -> Pacer {
        let plan = LinePlan { round_trip: Duration::from_millis(80), bits_per_second: 8_000_000, queue_bytes: 4_000 };
        Pacer::new(&plan)
    }

    fn arrivals(pacer: &mut Pacer, packets: &[(u64, usize)]) -> Vec<Option<u128>> {
        let mut take = |(now, bytes): &(u64, usize)| pacer.take(Duration::from_millis(*now), *bytes);
        packets.iter().map(|packet| take(packet).map(|at| at.as_micros())).collect()
    }

    #[test]
    fn on_an_idle_line_a_packet_takes_its_length_and_the_delay() {
        let packets = [(0, 1_000), (10, 500), (20, 0)];
        assert_eq!(arrivals(&mut pacer(), &packets), [Some(41_000), Some(50_500), Some(60_000)]);
    }

    #[test]
    fn a_burst_is_spread_over_the_rate_of_the_line() {
        let packets = [(5, 1_000), (5, 500), (5, 1_000), (6, 1_000)];
        assert_eq!(arrivals(&mut pacer(), &packets), [Some(46_000), Some(46_500), Some(47_500), Some(48_500)]);
    }

    #[test]
    fn what_finds_the_queue_full_is_dropped_and_takes_no_time() {
        let mut pacer = pacer();
        let burst = [(0, 1_000); 5];
        let [.., last, dropped] = arrivals(&mut pacer, &burst)[..] else { panic!("five packets were sent") };
        assert_eq!((last, dropped), (Some(44_000), None));
        // A smaller one would not fit either until something was sent.
        assert_eq!(arrivals(&mut pacer, &[(0, 1), (1, 1_000), (1, 1)]), [None, Some(45_000), None]);
    }

    #[test]
    fn a_queue_that_was_left_alone_is_empty() {
        let mut pacer = pacer();
        arrivals(&mut pacer, &[(0, 1_000); 4]);
        assert_eq!(arrivals(&mut pacer, &[(100, 1_000)]), [Some(141_000)]);
    }

    #[test]
    fn a_steady_stream_comes_out_at_the_rate_of_the_line() {
        let plan = LinePlan::new(Duration::from_millis(150), 500_000_000);
        let mut pacer = Pacer::new(&plan);
        // A quarter more than the line carries, for ten seconds.
        let arrived: Vec<Duration> =
            (0..520_834).filter_map(|n| pacer.take(Duration::from_nanos(n * 19_200), 1_500)).collect();
        let [first, .., last] = arrived[..] else { panic!("next to nothing arrived") };
        let bits = (arrived.len() - 1) as f64 * 12_000.0;
        let rate = bits / (last - first).as_secs_f64();
        assert!((rate / 500e6 - 1.0).abs() < 1e-6, "{rate}");
    }
}

use super::*;

#[test]
fn moment_addition_refuses_what_is_no_deadline() {
    let now = Moment::from_nanos(5);
    assert_eq!(now.checked_add(Duration::from_nanos(7)), Some(Moment::from_nanos(12)));
    assert_eq!(now.checked_add(Duration::MAX), None);
    assert_eq!(Moment::from_nanos(u64::MAX - 2).checked_add(Duration::from_nanos(2)), None);
}

#[test]
fn system_clock_starts_with_the_process_and_goes_on() {
    let clock = TimeSource::system();
    let first = clock.now();
    assert!(first < Moment::from_nanos(600_000_000_000), "it begins when it is first read");
    while clock.now() == first {
        std::hint::spin_loop();
    }
    assert!(clock.now() > first);
}

#[test]
fn test_clock_advances_and_never_wraps() {
    let clock = TestClock::new();
    clock.advance(Duration::from_secs(1));
    assert_eq!(TimeSource::Custom(Arc::new(clock.clone())).now().nanos(), 1_000_000_000);
    clock.advance(Duration::MAX);
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), Duration::from_nanos(u64::MAX - 1));
}

#[test]
fn custom_clock_is_read_at_every_look_up() {
    let clock = TestClock::new();
    let time = TimeSource::Custom(Arc::new(clock.clone()));
    for seconds in 1..3 * 1024_u64 {
        clock.advance(Duration::from_secs(1));
        assert_eq!(time.now_cached().nanos(), seconds * 1_000_000_000);
    }
}

/// Whether this process has a thread of that name.
#[cfg(target_os = "linux")]
fn has_thread(name: &str) -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux shows its threads");
    tasks.flatten().any(|task| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|found| found.trim_end() == name)
    })
}

/// The real thread, for what the fake clock cannot say: it starts when look-ups ask, time goes on under it, and it ends with
/// the last system clock. Other tests of this process make system clocks too, but none keeps one.
#[test]
#[cfg(target_os = "linux")]
fn ticking_thread_starts_with_traffic_and_ends_with_the_last_clock() {
    let time = TimeSource::system();
    let other = time.clone();
    let limit = std::time::Instant::now() + Duration::from_secs(30);
    let until = |done: &dyn Fn(Moment) -> bool| {
        let mut last = Moment::default();
        while !done(last) {
            assert!(std::time::Instant::now() < limit, "it does not come to that");
            for _ in 0..10_000 {
                let now = time.now_cached();
                assert!(now >= last, "time went back");
                last = now;
            }
            assert!(last <= time.now(), "a look-up is never ahead");
        }
        last
    };
    let began = until(&|_| has_thread("strata-clock"));
    until(&|now| now.since(began) > Duration::from_millis(40));
    drop((time, other));
    while has_thread("strata-clock") {
        assert!(std::time::Instant::now() < limit, "it does not end");
        std::thread::yield_now();
    }
}

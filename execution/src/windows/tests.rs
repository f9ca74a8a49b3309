use super::*;

const ALL_DAYS: [i8; 7] = [1, 2, 3, 4, 5, 6, 7];

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn weekly(days: &[i8], from: (u16, u16), to: (u16, u16)) -> Span {
    Span::Weekly { days: days.to_vec(), from_minute: from.0 * 60 + from.1, to_minute: to.0 * 60 + to.1 }
}

fn once(from: &str, to: &str) -> Span {
    Span::Once { from: from.parse().unwrap(), to: to.parse().unwrap() }
}

fn berlin(open: Vec<Span>, closed: Vec<Span>) -> Windows {
    Windows { policy: "p.w".to_owned(), time_zone: "Europe/Berlin".to_owned(), open, closed, drops: false }
}

/// When it is open next, or `now`.
fn next(windows: &[Windows], now: &str) -> String {
    match opening(windows, ms(now)).unwrap() {
        Opening::Open => "now".to_owned(),
        Opening::Closed { until_ms, .. } => until_ms.map_or("never".to_owned(), |ms| instant(ms).to_string()),
    }
}

#[test]
fn a_schedule_is_open_in_its_hours_by_the_clock_of_its_zone() {
    let office = [berlin(vec![weekly(&[1, 2, 3, 4, 5], (8, 0), (18, 0))], vec![])];
    // Berlin is an hour ahead in winter and two in summer; 2026-01-05 and 2026-07-06 are Mondays.
    for (now, expected) in [
        ("2026-01-05T06:59:59.999Z", "2026-01-05T07:00:00Z"),
        ("2026-01-05T07:00:00Z", "now"),
        ("2026-01-05T16:59:59.999Z", "now"),
        ("2026-01-05T17:00:00Z", "2026-01-06T07:00:00Z"),
        ("2026-01-09T17:00:00Z", "2026-01-12T07:00:00Z"),
        ("2026-07-06T05:59:59Z", "2026-07-06T06:00:00Z"),
        ("2026-07-06T16:00:00Z", "2026-07-07T06:00:00Z"),
    ] {
        assert_eq!(next(&office, now), expected, "{now}");
    }
}

#[test]
fn a_span_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let nights = [berlin(vec![weekly(&[5], (22, 0), (6, 0))], vec![])];
    // From Friday, 2026-01-09.
    for (now, expected) in [
        ("2026-01-09T20:00:00Z", "2026-01-09T21:00:00Z"),
        ("2026-01-09T21:00:00Z", "now"),
        ("2026-01-10T04:59:59Z", "now"),
        ("2026-01-10T05:00:00Z", "2026-01-16T21:00:00Z"),
        ("2026-01-09T03:00:00Z", "2026-01-09T21:00:00Z"),
    ] {
        assert_eq!(next(&nights, now), expected, "{now}");
    }
    let whole_day = [berlin(vec![weekly(&[6], (0, 0), (24, 0))], vec![])];
    assert_eq!(next(&whole_day, "2026-01-09T22:59:59Z"), "2026-01-09T23:00:00Z");
    assert_eq!(next(&whole_day, "2026-01-10T22:59:59Z"), "now");
    assert_eq!(next(&whole_day, "2026-01-10T23:00:00Z"), "2026-01-16T23:00:00Z");
    // From midnight to midnight without the hour 24 is a day as well.
    assert_eq!(next(&[berlin(vec![weekly(&[6], (0, 0), (0, 0))], vec![])], "2026-01-10T12:00:00Z"), "now");
}

#[test]
fn a_black_out_closes_what_is_open_and_what_is_always_open() {
    let holidays = || once("2026-12-24T00:00", "2027-01-02T00:00");
    let always = [berlin(vec![], vec![holidays()])];
    assert_eq!(next(&always, "2026-12-23T22:59:59Z"), "now");
    assert_eq!(next(&always, "2026-12-23T23:00:00Z"), "2027-01-01T23:00:00Z");
    // 2027-01-02 is a Saturday.
    let office = [berlin(vec![weekly(&[1, 2, 3, 4, 5], (8, 0), (18, 0))], vec![holidays()])];
    assert_eq!(next(&office, "2026-12-24T10:00:00Z"), "2027-01-04T07:00:00Z");
    // At the end of a black-out within a day.
    let lunch = [berlin(vec![], vec![weekly(&ALL_DAYS, (12, 0), (13, 0))])];
    assert_eq!(next(&lunch, "2026-01-05T11:30:00Z"), "2026-01-05T12:00:00Z");
    let over = [berlin(vec![once("2020-01-01T00:00", "2020-01-02T00:00")], vec![])];
    assert_eq!(next(&over, "2026-01-05T11:30:00Z"), "never");
}

#[test]
fn an_hour_that_the_clock_leaves_out_opens_nothing() {
    // On 2026-03-29 the clocks of Berlin go from 2:00 to 3:00, at 1:00 UTC.
    let inside = [berlin(vec![weekly(&ALL_DAYS, (2, 15), (2, 45))], vec![])];
    assert_eq!(next(&inside, "2026-03-28T02:00:00Z"), "2026-03-30T00:15:00Z");
    assert_eq!(next(&inside, "2026-03-29T01:00:00Z"), "2026-03-30T00:15:00Z");
    // What begins in it opens when the clock is set, for then the clock shows a time of it.
    let across = [berlin(vec![weekly(&ALL_DAYS, (2, 30), (3, 30))], vec![])];
    assert_eq!(next(&across, "2026-03-29T00:00:00Z"), "2026-03-29T01:00:00Z");
    assert_eq!(next(&across, "2026-03-29T01:29:59Z"), "now");
    assert_eq!(next(&across, "2026-03-29T01:30:00Z"), "2026-03-30T00:30:00Z");
    // A black-out that ends in it ends when the clock is set.
    let black = [berlin(vec![], vec![weekly(&ALL_DAYS, (1, 0), (2, 30))])];
    assert_eq!(next(&black, "2026-03-29T00:30:00Z"), "2026-03-29T01:00:00Z");
}

#[test]
fn an_hour_that_the_clock_shows_twice_is_open_twice_and_closed_twice() {
    // On 2026-10-25 the clocks of Berlin go from 3:00 back to 2:00, at 1:00 UTC.
    let inside = [berlin(vec![weekly(&ALL_DAYS, (2, 15), (2, 45))], vec![])];
    for (now, expected) in [
        ("2026-10-24T23:00:00Z", "2026-10-25T00:15:00Z"),
        ("2026-10-25T00:15:00Z", "now"),
        ("2026-10-25T00:45:00Z", "2026-10-25T01:15:00Z"),
        ("2026-10-25T01:30:00Z", "now"),
        ("2026-10-25T01:45:00Z", "2026-10-26T01:15:00Z"),
    ] {
        assert_eq!(next(&inside, now), expected, "{now}");
    }
    // A window that ends in it is open again when the clock goes back into it.
    let across = [berlin(vec![weekly(&ALL_DAYS, (1, 0), (2, 30))], vec![])];
    assert_eq!(next(&across, "2026-10-25T00:30:00Z"), "2026-10-25T01:00:00Z");
    assert_eq!(next(&across, "2026-10-25T01:29:59Z"), "now");
    let black = [berlin(vec![], vec![weekly(&ALL_DAYS, (2, 0), (3, 0))])];
    assert_eq!(next(&black, "2026-10-25T00:00:00Z"), "2026-10-25T02:00:00Z", "both hours");
}

#[test]
fn windows_of_several_policies_hold_together() {
    let mornings = berlin(vec![weekly(&ALL_DAYS, (6, 0), (12, 0))], vec![]);
    let tokyo = Windows {
        policy: "p.t".to_owned(),
        time_zone: "Asia/Tokyo".to_owned(),
        drops: true,
        ..berlin(vec![weekly(&[3], (17, 0), (20, 0))], vec![])
    };
    // Wednesday, 17:00 in Tokyo is 9:00 in Berlin in winter.
    let both = [mornings, tokyo.clone()];
    assert_eq!(next(&both, "2026-01-05T20:00:00Z"), "2026-01-07T08:00:00Z");
    assert_eq!(next(&both, "2026-01-07T08:00:00Z"), "now");
    let Opening::Closed { policy, drops, .. } = opening(&both, ms("2026-01-05T08:00:00Z")).unwrap() else { panic!() };
    assert_eq!((&*policy, drops), ("p.t", true), "the mornings are open then");
    let elsewhere = Windows { time_zone: "Mars/Olympus".to_owned(), ..tokyo };
    assert!(opening(&[elsewhere], 0).unwrap_err().contains("Mars/Olympus"));
}

#[test]
fn it_agrees_with_looking_at_every_minute() {
    let windows = [berlin(
        vec![weekly(&[1, 3, 7], (1, 30), (3, 15)), weekly(&[6], (22, 10), (2, 40))],
        vec![weekly(&[7], (2, 5), (2, 20)), once("2026-10-26T01:40", "2026-10-26T02:50")],
    )];
    for (from, days) in [("2026-03-27T00:00:00Z", 5_i64), ("2026-10-23T00:00:00Z", 5)] {
        let from = ms(from);
        let minutes: Vec<i64> = (0..days * 1_440).map(|minute| from + minute * 60_000).collect();
        let is_open = |at: i64| opening(&windows, at).unwrap() == Opening::Open;
        let mut expected = None;
        for at in minutes.into_iter().rev() {
            if is_open(at) {
                expected = Some(at);
            } else if expected.is_some() {
                let Opening::Closed { until_ms, .. } = opening(&windows, at).unwrap() else { panic!() };
                assert_eq!(until_ms, expected, "from {}", instant(at));
            }
        }
    }
}

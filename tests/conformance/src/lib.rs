//! What every bus must do, once, for all three.
//!
//! A property is a function over a [`BusUnderTest`]; [`conformance!`] makes a test of each of them for
//! one bus. What only one bus has (the kill of a process for the local log, random interleavings for
//! the simulated one) is in that bus's own file under tests/.
//!
//! Reading order: `harness`, `stage`, `world`, `properties`.

mod harness;
mod local;
pub mod properties;
mod sim;
mod stage;
mod world;

pub use harness::{BusUnderTest, WallClock};
pub use local::LocalUnderTest;
pub use sim::SimUnderTest;
pub use stage::{CountStage, Settings, SharedSettings, Topics};
pub use world::{World, all_points};

/// Makes a test of every property for one bus: `conformance!(local, LocalUnderTest::fresh)`. The
/// function returns none where the bus cannot be tested on this machine, having said so.
#[macro_export]
macro_rules! conformance {
    ($prefix:ident, $fresh:expr) => {
        $crate::conformance!(@each $prefix, $fresh,
            ordering::records_keep_their_order_per_partition,
            ordering::keys_go_where_every_bus_puts_them,
            atomicity::outputs_state_and_offsets_are_one,
            atomicity::an_aborted_transaction_leaves_nothing,
            atomicity::uncommitted_outputs_are_not_read,
            crash::every_point_of_the_driver,
            crash::a_crash_while_giving_up_partitions,
            groups::two_members_share_and_take_over,
            groups::a_zombie_is_fenced,
            follow::followers_go_with_their_leader,
            follow::a_follower_whose_partitions_differ_is_refused,
            groups::a_topic_that_appears_later_is_read,
            groups::a_topic_that_appears_is_missing_nowhere,
            pressure::blocked_records_wait_in_order,
            pressure::a_blocked_topic_holds_up_no_other,
            pressure::what_is_assigned_meanwhile_leaves_nothing_paused,
            pressure::silence_is_not_taken_for_granted,
            pressure::what_is_told_in_the_middle_of_a_turn_is_no_silence,
            pressure::what_an_open_transaction_hides_is_no_silence,
            retention::an_offset_out_of_range_halts_that_partition_alone,
            state::the_changelog_is_on_the_inputs_partition,
            state::timers_fire_once_across_a_takeover,
            state::globals_change_between_batches_for_every_partition,
            panics::a_record_that_kills_the_stage_is_given_up_and_the_others_go_on,
            panics::panics_of_a_record_are_counted_over_sessions,
            panics::a_timer_that_kills_the_stage_is_moved_back_and_holds_up_nothing_else,
            panics::panics_of_a_timer_are_counted_over_sessions,
            panics::a_timer_that_was_moved_back_is_told_by_whoever_has_it,
            limits::an_oversized_output_becomes_a_dead_letter,
            waking::a_wait_for_records_is_ended_by_its_waker,
            starts::reading_begins_where_it_should,
            starts::metadata_comes_back,
            starts::a_start_is_committed_before_anything_is_read,
            positions::a_group_that_the_log_forgot_goes_on_by_its_changelog,
            positions::a_group_that_the_log_forgot_goes_on_without_a_changelog,
            positions::a_topic_that_was_made_anew_is_read_from_its_start,
            positions::a_topic_that_is_made_anew_while_it_is_read_is_read_from_its_start,
            positions::an_offset_of_an_earlier_topic_is_not_the_groups,
            positions::a_kept_position_before_the_beginning_halts_that_partition_alone,
            positions::a_kept_position_beyond_the_end_halts_that_partition_alone,
            positions::a_stage_that_reads_its_own_changelog_comes_to_rest,
            positions::a_state_that_says_no_position_halts_that_partition_alone,
            positions::a_follower_that_cannot_be_begun_halts_its_leader_too,
            positions::a_position_that_cannot_be_read_halts_that_partition_alone,
            publishing::a_call_is_written_whole_or_not_at_all,
            publishing::receipts_say_where,
            restores::a_restore_begins_where_it_is_told,
            publishing::only_the_latest_sole_writer_writes,
            tails::a_tail_sees_everything_and_follows,
            tails::a_tail_passes_the_end_that_was_marked,
            topics::existing_topics_must_match,
            topics::offsets_by_time,
        );
    };
    (@each $prefix:ident, $fresh:expr, $($module:ident :: $property:ident),+ $(,)?) => {
        $(
            mod $property {
                use super::*;

                #[test]
                fn $prefix() {
                    let Some(bus) = $fresh() else { return };
                    $crate::properties::$module::$property(&bus);
                }
            }
        )+
    };
}

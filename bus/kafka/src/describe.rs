//! Ids of topics: a topic that was deleted and made anew has another one.
//!
//! The crate has no call for librdkafka's description of topics. Safety: pointers come from librdkafka and are
//! used as its header says; what has to be destroyed is, by the guards below, in the reverse order.
#![allow(unsafe_code)] // librdkafka's description of topics has no safe interface

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::Arc;
use std::time::Duration;

use petrel_bus::BusError;
use rdkafka::bindings as rd;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR as OK;

use crate::context::Context;

/// How much longer than the request itself its answer is waited for.
const GRACE: Duration = Duration::from_secs(1);

/// Calls a destructor of librdkafka's.
struct Guard<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer is what that destructor is for, ours, and not used again; it takes no null.
        if !self.0.is_null() {
            unsafe { self.1(self.0) }
        }
    }
}

/// Why a topic is not described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotDescribed {
    pub(crate) code: RDKafkaErrorCode,
    /// What the broker says, for people.
    pub(crate) why: String,
}

/// The id of a topic, none from a broker that has no ids; or why the topic is not described.
pub(crate) type Id = Result<Option<String>, NotDescribed>;

/// The ids of topics, each by itself.
pub(crate) fn topic_ids(
    client: &Client<Context>,
    topics: &[Arc<str>],
    timeout: Duration,
) -> Result<BTreeMap<Arc<str>, Id>, BusError> {
    let names: Result<Vec<CString>, _> = topics.iter().map(|topic| CString::new(&**topic)).collect();
    let names = names.map_err(|_| BusError::Configuration("a topic's name cannot contain the byte 0".into()))?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let ms = |time: Duration| c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
    let rk = client.native_ptr();
    // SAFETY: the client and the names are alive; the names are copied.
    let (wanted, options, queue) = unsafe {
        let wanted = rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let options = rd::rd_kafka_AdminOptions_new(rk, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        (
            Guard(wanted, rd::rd_kafka_TopicCollection_destroy),
            Guard(options, rd::rd_kafka_AdminOptions_destroy),
            Guard(rd::rd_kafka_queue_new(rk), rd::rd_kafka_queue_destroy),
        )
    };
    // SAFETY: all of them are alive; a returned event is ours, and destroyed before the queue.
    let event = unsafe {
        let mut why: [c_char; 256] = [0; 256];
        rd::rd_kafka_AdminOptions_set_request_timeout(options.0, ms(timeout), why.as_mut_ptr(), why.len());
        rd::rd_kafka_DescribeTopics(rk, wanted.0, options.0, queue.0);
        Guard(rd::rd_kafka_queue_poll(queue.0, ms(timeout + GRACE)), rd::rd_kafka_event_destroy)
    };
    if event.0.is_null() {
        return Err(BusError::Unavailable("topics are not described in time".into()));
    }
    // SAFETY: the event is alive, and with it what it holds.
    unsafe {
        if rd::rd_kafka_event_error(event.0) != OK {
            let why = CStr::from_ptr(rd::rd_kafka_event_error_string(event.0)).to_string_lossy();
            return Err(BusError::Unavailable(format!("topics cannot be described: {why}")));
        }
        let mut count = 0;
        let result = rd::rd_kafka_event_DescribeTopics_result(event.0);
        let described = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        let described = if described.is_null() { &[] } else { std::slice::from_raw_parts(described, count) };
        Ok(described.iter().map(|topic| id_of(*topic)).collect())
    }
}

/// Name and id of a topic.
///
/// # Safety
/// The description is alive during the call.
unsafe fn id_of(topic: *const rd::rd_kafka_TopicDescription_t) -> (Arc<str>, Id) {
    // SAFETY: as the caller says; what is asked for belongs to the description.
    unsafe {
        let name: Arc<str> = CStr::from_ptr(rd::rd_kafka_TopicDescription_name(topic)).to_string_lossy().into();
        let error = rd::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() && rd::rd_kafka_error_code(error) != OK {
            let why = CStr::from_ptr(rd::rd_kafka_error_string(error)).to_string_lossy().into_owned();
            return (name, Err(NotDescribed { code: rd::rd_kafka_error_code(error).into(), why }));
        }
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        let (most, least) = match id.is_null() {
            true => (0, 0),
            false => (rd::rd_kafka_Uuid_most_significant_bits(id), rd::rd_kafka_Uuid_least_significant_bits(id)),
        };
        (name, Ok(((most, least) != (0, 0)).then(|| format!("{most:016x}{least:016x}"))))
    }
}

//! The sole writer of a name, by Kafka's own fencing: every process opens it under the same transactional id.
//!
//! Initialising the producer ends what an earlier one left open, waits until what it committed is visible, and
//! raises the epoch, so that the earlier one can commit nothing more. So that nobody takes the right back
//! unawares, a writer is initialised once and writes one transaction.

use std::sync::Arc;

use petrel_bus::{BusError, Output, SoleWriteError, SoleWriter};

use crate::bus::Questions;
use crate::faults::Fault;
use crate::options::KafkaOptions;
use crate::transactions::Transactions;

pub(crate) struct KafkaSoleWriter {
    transactions: Transactions,
    questions: Arc<Questions>,
}

impl KafkaSoleWriter {
    pub(crate) fn open(options: &Arc<KafkaOptions>, questions: &Arc<Questions>, name: &str) -> Result<Self, BusError> {
        // An answer from the cluster first: initialising a producer would wait for it much longer.
        questions.cluster_id()?;
        let transactions = Transactions::connect(options, &format!("sole-{name}"))?;
        Ok(Self { transactions, questions: questions.clone() })
    }

    fn partitions(&self, outputs: &[Output]) -> Result<Vec<u32>, String> {
        let place = |output: &Output| {
            let count = self.questions.partitions(&output.topic).map_err(|e| e.to_string())?;
            let count = count.ok_or_else(|| format!("there is no topic {}", output.topic))?;
            let partition = output.partition(count);
            let exists = partition < count;
            exists.then_some(partition).ok_or_else(|| format!("{} has no partition {partition}", output.topic))
        };
        outputs.iter().map(place).collect()
    }

    fn prepare(&mut self, outputs: &[Output], partitions: &[u32]) -> Result<(), Fault> {
        self.transactions.begin()?;
        for (output, partition) in outputs.iter().zip(partitions) {
            self.transactions.send(output, *partition, 0)?;
        }
        self.transactions.prepare(None)
    }
}

impl SoleWriter for KafkaSoleWriter {
    fn write(mut self: Box<Self>, outputs: Vec<Output>) -> Result<(), SoleWriteError> {
        let partitions = self.partitions(&outputs).map_err(SoleWriteError::NotWritten)?;
        let (fault, asked) = match self.prepare(&outputs, &partitions) {
            Err(fault) => (fault, false),
            Ok(()) => match self.transactions.finish() {
                Ok(()) => return Ok(()),
                Err(fault) => (fault, true),
            },
        };
        let fenced = self.transactions.is_fenced();
        // The producer goes; what it leaves open the next one ends, or the broker after its time.
        let aborted = self.transactions.abort();
        let nothing_is_written = !asked || matches!(fault, Fault::Abort(_));
        match nothing_is_written {
            true if fenced => Err(SoleWriteError::Superseded),
            true => {
                if let Err(left) = aborted {
                    tracing::warn!(why = left.why(), "a transaction could not be aborted");
                }
                Err(SoleWriteError::NotWritten(fault.why().to_owned()))
            }
            // Also if it is fenced now: an earlier request to commit may have been carried out.
            false => Err(SoleWriteError::OutcomeUnknown(fault.why().to_owned())),
        }
    }
}

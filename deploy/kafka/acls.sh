#!/bin/sh
# Gives each kind of process on a Kafka with an authorizer what it needs, and nothing else; docs/KAFKA.md says why each
# line is there. It adds rules and removes none, and may be run again.
#
#   KAFKA_ACLS="kafka-acls.sh --bootstrap-server kafka:9092 --command-config admin.properties" ./acls.sh
#
# KAFKA_ACLS   command that makes rules, with the address and who asks; split at spaces
# PREFIX       `topic_prefix` of the configuration                                      (petrel.)
# POOLS        pools of workers                                                          (default)
# SERVERS      principal of the roles ingest, rules, executor and api                    (User:petrel)
# WORKERS      principal of the role worker; instance ids begin with `worker-`           (User:petrel-worker)
# AUDITORS     principal of the role audit; instance ids begin with `audit-`             (User:petrel-audit)
# PRODUCERS    principal of who writes events to topics of yours                         (User:petrel-events)
# EVENTS       those topics: names, or beginnings of names that end in `*`               (none)
# PRODUCED     topics that packs list under `produces`                                   (none)
set -eu

: "${KAFKA_ACLS:=kafka-acls.sh --bootstrap-server localhost:9092}"
: "${PREFIX:=petrel.}" "${POOLS:=default}"
: "${SERVERS:=User:petrel}" "${WORKERS:=User:petrel-worker}" "${AUDITORS:=User:petrel-audit}"
: "${PRODUCERS:=User:petrel-events}" "${EVENTS:=}" "${PRODUCED:=}"

# Names are taken as they stand.
set -f

# allow PRINCIPAL 'OPERATION…' KIND PATTERN NAME…: one call for all names. A pattern is literal or prefixed.
allow() {
  principal=$1 operations=$2 kind=$3 pattern=$4
  shift 4
  [ $# -gt 0 ] || return 0
  names=
  for name in "$@"; do names="$names --$kind $name"; done
  options=
  for operation in $operations; do options="$options --operation $operation"; done
  # shellcheck disable=SC2086
  $KAFKA_ACLS --add --force --allow-principal "$principal" $options $names --resource-pattern-type "$pattern" >/dev/null
}

# Topics of yours, which may be beginnings of names.
allow_topics() {
  principal=$1 operations=$2
  shift 2
  literal='' prefixed=''
  for topic in "$@"; do
    case $topic in
      *'*') prefixed="$prefixed ${topic%'*'}" ;;
      *) literal="$literal $topic" ;;
    esac
  done
  # shellcheck disable=SC2086
  allow "$principal" "$operations" topic literal $literal
  # shellcheck disable=SC2086
  allow "$principal" "$operations" topic prefixed $prefixed
}

own() { for name in "$@"; do printf '%s ' "$PREFIX$name"; done; }

# Everybody looks whether Petrel's topics are there and as they should be. Who reads or writes is said below.
for principal in "$WORKERS" "$AUDITORS"; do
  allow "$principal" 'Describe DescribeConfigs' topic prefixed "$PREFIX"
done

# Servers own Petrel's topics, its groups, and the ids of its transactions, and read the topics of events.
allow "$SERVERS" 'Create Read Write Describe DescribeConfigs' topic prefixed "$PREFIX"
allow "$SERVERS" 'Read Describe' group prefixed "$PREFIX" petrel-tail-
allow "$SERVERS" 'Write Describe' transactional-id prefixed "$PREFIX"
# shellcheck disable=SC2086
allow_topics "$SERVERS" 'Read Describe DescribeConfigs' $EVENTS
# Whether topics that packs produce to are there, they look when a pack is applied.
# shellcheck disable=SC2086
allow_topics "$SERVERS" Describe $PRODUCED

# Workers take tasks and report. They write no request, no answer of a gate, no order and no cancel.
tasks='' groups='' ids=''
for pool in $POOLS; do
  tasks="$tasks $(own "tasks.$pool" "tasks.$pool.urgent" "tasks.$pool.bulk" "orders.$pool")"
  groups="$groups $(own "worker.$pool")"
  # Two workers of a pool are told apart behind the dash.
  ids="$ids $(own "${PREFIX}worker.$pool-")"
done
# shellcheck disable=SC2046,SC2086
allow "$WORKERS" Read topic literal $(own catalog kv secrets worker_positions) $tasks
# shellcheck disable=SC2046
allow "$WORKERS" Write topic literal $(own results output dead_letters processes worker_positions)
# shellcheck disable=SC2086
allow "$WORKERS" 'Read Describe' group literal $groups
allow "$WORKERS" 'Read Describe' group prefixed petrel-tail-worker-
# shellcheck disable=SC2046,SC2086
allow "$WORKERS" 'Write Describe' transactional-id prefixed $ids $(own publisher-worker-)
# shellcheck disable=SC2086
allow_topics "$WORKERS" 'Write Describe' $PRODUCED

# Auditors read what has happened, and write nothing but that they are there.
# shellcheck disable=SC2046
allow "$AUDITORS" Read topic literal $(own audit dead_letters catalog kv)
# shellcheck disable=SC2046
allow "$AUDITORS" Write topic literal $(own processes)
# shellcheck disable=SC2046
allow "$AUDITORS" 'Read Describe' group literal $(own audit)
allow "$AUDITORS" 'Read Describe' group prefixed petrel-tail-audit-
# shellcheck disable=SC2046
allow "$AUDITORS" 'Write Describe' transactional-id prefixed $(own publisher-audit-)

# Producers write events to topics of yours, and to none of Petrel's.
# shellcheck disable=SC2086
allow_topics "$PRODUCERS" 'Write Describe' $EVENTS

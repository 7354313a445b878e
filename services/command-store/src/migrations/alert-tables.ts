/** The tables of alerts, part of the first migration. */
export const alertTables: readonly string[] = [
  // `definition`: a serialised howdah.v1.AlertDefinition as it is now, with what stands in the other columns. `edited`: which fields operators
  // have changed (1 enabled, 2 interval, 4 tolerance, 8 source); those do not follow the stack. `repeat_tolerance`: null for the
  // cluster's. `due_at`: when the server is to find it out next; null for what agents find out, and what is counted.
  `create table if not exists alert_definition (
    definition_id bigint not null auto_increment primary key,
    cluster_id bigint not null,
    name varchar(255) not null,
    service_name varchar(100) not null,
    component_name varchar(100) not null,
    source_type ALERT_SOURCE_TYPE not null,
    enabled tinyint not null,
    interval_minutes int not null,
    ignore_host tinyint not null,
    repeat_tolerance smallint null,
    edited tinyint not null,
    uuid varchar(36) not null,
    due_at bigint null,
    definition mediumblob not null,
    unique key name (cluster_id, name),
    key due (due_at)
  )`,
  // Alerts as they are now. `host_id`: 0 for one that belongs to no host; the names never change, and stand here so that lists are read
  // in order. `since`: when it came into its state. Every write raises `version`, and is conditional on it.
  `create table if not exists alert_current (
    definition_id bigint not null,
    host_id bigint not null,
    cluster_id bigint not null,
    service_name varchar(100) not null,
    name varchar(255) not null,
    host_name varchar(255) not null,
    alert_state ALERT_STATE not null,
    firmness enum('SOFT','HARD') not null,
    occurrences int not null,
    since bigint not null,
    told_at bigint not null,
    version int not null,
    latest_text text not null,
    primary key (definition_id, host_id),
    key host (host_id),
    key name_listing (definition_id, alert_state, host_name, firmness),
    key listing (cluster_id, alert_state, name, host_name),
    key service_listing (cluster_id, service_name, alert_state, name, host_name)
  )`,
  // Every change of an alert's state, for as long as nothing is purged.
  `create table if not exists alert_history (
    alert_id bigint not null auto_increment primary key,
    cluster_id bigint not null,
    name varchar(255) not null,
    host_name varchar(255) not null,
    service_name varchar(100) not null,
    component_name varchar(100) not null,
    alert_state ALERT_STATE not null,
    changed_at bigint not null,
    alert_text text not null,
    key cluster (cluster_id),
    key name (cluster_id, name),
    key host (cluster_id, host_name),
    key changed (changed_at)
  )`,
  // Alerts that a host has not checked for twice their interval, and since when it says so.
  `create table if not exists alert_stale (
    host_id bigint not null,
    definition_id bigint not null,
    since bigint not null,
    primary key (host_id, definition_id),
    key definition (definition_id)
  )`,
  // What may change an AGGREGATE and is not counted yet: alerts of a definition, or of a whole cluster (definition 0), or of all (0, 0). Rows
  // are added and deleted, never changed, so that recording alerts makes nobody wait.
  `create table if not exists alert_recount (
    recount_id bigint not null auto_increment primary key,
    cluster_id bigint not null,
    definition_id bigint not null
  )`,
];

import { alertTables } from "./alert-tables.js";

const tables = [
  // The store itself: one row. Agents' journals are keyed by its id, so that a re-created database never meets old answers.
  `create table if not exists store (
    id tinyint not null primary key,
    store_id varchar(36) not null
  )`,
  `insert ignore into store (id, store_id) values (1, uuid())`,

  // Where the next block of ids begins. A replica takes a block at a time, so no transaction waits for this row.
  `create table if not exists id_block (
    name varchar(32) not null primary key,
    next_id bigint not null
  )`,
  `insert ignore into id_block (name, next_id) values ('task', 1)`,

  // One holder at a time. Whether a lease has expired is judged by who watches (token, counter), never by a clock in here.
  `create table if not exists lease (
    name varchar(100) not null primary key,
    holder varchar(150) not null,
    token bigint not null,
    counter bigint not null,
    duration_ms bigint not null,
    address varchar(255) not null,
    renewed_at bigint not null
  )`,

  // \`state\`: HEALTHY from the commit that opens a session on, HEARTBEAT_LOST when the scheduler's host monitor says so. \`lost_at\`:
  // when it was lost last, kept after it came back; 0: never.
  `create table if not exists host (
    host_id bigint not null auto_increment primary key,
    host_name varchar(255) not null,
    agent_id varchar(64) not null,
    journal_id varchar(64) not null,
    boot_id varchar(64) not null,
    agent_version varchar(64) not null,
    labels text not null,
    facts mediumtext not null,
    registered_at bigint not null,
    state enum('HEALTHY','HEARTBEAT_LOST') not null default 'HEALTHY',
    lost_at bigint not null default 0,
    unique key host_name (host_name)
  )`,
  // The host monitor: one row. The highest token of a scheduler's lease that recorded host states; a lower one records none. \`claims\`
  // grows with each recording: a row that stays as it was is in no write set, and two nodes of a cluster would not see that they collide.
  `create table if not exists host_monitor (
    id tinyint not null primary key,
    scheduler_token bigint not null,
    claims bigint not null
  )`,
  `insert ignore into host_monitor (id, scheduler_token, claims) values (1, 0, 0)`,
  // The current or last session of each host; \`open\` is null once it ended.
  `create table if not exists session (
    host_id bigint not null primary key,
    session_epoch bigint not null,
    dispatcher varchar(100) not null,
    dispatcher_token bigint not null,
    peer_address varchar(255) not null,
    opened_at bigint not null,
    closed_at bigint not null,
    open tinyint null,
    key dispatcher (dispatcher, open)
  )`,

  // How each host is, as its agent last told. \`problems\`: a JSON array of texts; null when it has none.
  `create table if not exists host_status (
    host_id bigint not null primary key,
    session_epoch bigint not null,
    digest varchar(64) not null,
    status mediumtext not null,
    problems mediumtext null,
    changed_at bigint not null
  )`,

  // Packages (tar files) and clusters' documents (JSON) by the digest of their content. Chunks are kept by the upload that brought
  // them: a package exists once its row does, and an upload that broke off or lied about its digest spoils no other.
  `create table if not exists package (
    digest varchar(64) not null primary key,
    size bigint not null,
    upload_id varchar(64) not null,
    created_at bigint not null,
    key upload (upload_id)
  )`,
  `create table if not exists package_chunk (
    upload_id varchar(64) not null,
    position int not null,
    data mediumblob not null,
    primary key (upload_id, position)
  )`,
  `create table if not exists stack (
    name varchar(100) not null,
    version varchar(100) not null,
    digest varchar(64) not null,
    services text not null,
    definition longblob not null,
    pushed_at bigint not null,
    primary key (name, version)
  )`,

  // \`alert_targets\`: a serialised howdah.v1.ClusterAlerts with what follows from its stack, and no digest of a document.
  `create table if not exists cluster (
    cluster_id bigint not null auto_increment primary key,
    name varchar(80) not null,
    stack_name varchar(100) not null,
    stack_version varchar(100) not null,
    version bigint not null,
    configurations_digest varchar(64) not null,
    topology_digest varchar(64) not null,
    metadata_digest varchar(64) not null,
    alert_definitions_digest varchar(64) not null default '',
    alert_targets mediumblob null,
    alerts_repeat_tolerance smallint not null default 1,
    unique key name (name)
  )`,
  `create table if not exists cluster_service (
    cluster_id bigint not null,
    service_name varchar(100) not null,
    primary key (cluster_id, service_name)
  )`,
  // A component on a host. \`host_name\` never changes, and stands here so that lists are read in order from \`listing\`.
  // \`client\`: installed and never started, by the cluster's stack. \`binding_id\`: the documents that its last successful START
  // or RESTART (INSTALL, for a client) ran with; 0 before the first one. \`auto_start\`: its agent starts it when it does not run and
  // should. \`desired_request_id\`: the request that last wrote \`desired_state\`.
  `create table if not exists host_component (
    cluster_id bigint not null,
    component_name varchar(100) not null,
    host_id bigint not null,
    service_name varchar(100) not null,
    host_name varchar(255) not null,
    client tinyint not null default 0,
    auto_start tinyint not null default 0,
    desired_state COMPONENT_STATE not null,
    current_state COMPONENT_STATE not null,
    desired_request_id bigint not null default 0,
    changed_at bigint not null,
    binding_id bigint not null default 0,
    primary key (cluster_id, component_name, host_id),
    key host (host_id),
    key listing (cluster_id, service_name, component_name, host_name)
  )`,
  // Where a cluster says otherwise, or the same, than its stack whether agents start a component, and nothing else.
  `create table if not exists auto_start (
    cluster_id bigint not null,
    service_name varchar(100) not null,
    component_name varchar(100) not null,
    enabled tinyint not null,
    primary key (cluster_id, service_name, component_name)
  )`,
  // What is in maintenance, and nothing else, since that is little. A host: cluster 0 and no names. A service: host 0 and no component.
  // Rows of what a cluster no longer has are removed with it.
  `create table if not exists maintenance (
    cluster_id bigint not null,
    service_name varchar(100) not null,
    component_name varchar(100) not null,
    host_id bigint not null,
    reason varchar(255) not null,
    since bigint not null,
    primary key (cluster_id, service_name, component_name, host_id)
  )`,
  `create table if not exists cluster_config (
    config_id bigint not null auto_increment primary key,
    cluster_id bigint not null,
    type_name varchar(255) not null,
    version int not null,
    selected tinyint not null,
    config_data mediumtext not null,
    config_attributes mediumtext not null,
    create_time bigint not null,
    unique key version (cluster_id, type_name, version)
  )`,

  // \`open\` is 1 from the commit that makes the request visible until it is over, then null. While it is PREPARING \`ready\` and
  // \`open\` are 0, and \`create_time\` is when its last chunk came. \`budget_failures\`: how many tasks failed since its run began or
  // was last resumed.
  `create table if not exists request (
    request_id bigint not null auto_increment primary key,
    idempotency_key varchar(64) not null,
    content_digest varbinary(32) not null,
    ready tinyint not null,
    open tinyint null,
    status STATUS not null,
    display_status STATUS not null,
    progress_percent tinyint not null,
    version bigint not null,
    owner_token bigint not null,
    run int not null,
    cluster_id bigint not null,
    stage_count int not null,
    cancel_requested tinyint not null,
    aborted tinyint not null,
    paused tinyint not null,
    budget_failures int not null,
    on_failure tinyint not null,
    request_context varchar(255) not null,
    abort_reason varchar(255) not null,
    pause_reason varchar(255) not null,
    options blob not null,
    skipped_hosts mediumblob not null,
    create_time bigint not null,
    start_time bigint not null,
    end_time bigint not null,
    unique key idempotency_key (idempotency_key),
    key open (open)
  )`,
  // \`command_params\`: what the commands of the stage share, a serialised howdah.v1.StageHeader.
  `create table if not exists stage (
    request_id bigint not null,
    stage_id int not null,
    status STATUS not null,
    display_status STATUS not null,
    start_time bigint not null,
    end_time bigint not null,
    command_params mediumblob not null,
    primary key (request_id, stage_id)
  )`,
  // A role of a stage: its success factor, and how many of its tasks are in each status.
  `create table if not exists role_success_criteria (
    request_id bigint not null,
    stage_id int not null,
    role_index smallint not null,
    role varchar(100) not null,
    role_command ROLE_COMMAND not null,
    custom_command varchar(255) not null,
    success_factor double not null,
    pending int not null default 0,
    queued int not null default 0,
    in_progress int not null default 0,
    holding int not null default 0,
    completed int not null default 0,
    failed int not null default 0,
    holding_failed int not null default 0,
    timedout int not null default 0,
    holding_timedout int not null default 0,
    aborted int not null default 0,
    skipped_failed int not null default 0,
    unknown int not null default 0,
    primary key (request_id, stage_id, role_index)
  )`,
  // How many tasks of a batch of a stage failed since the request's run began or was last resumed: one row for each batch with a failure,
  // of requests with a budget for batches only.
  `create table if not exists batch_failures (
    request_id bigint not null,
    stage_id int not null,
    batch smallint not null,
    failures int not null,
    primary key (request_id, stage_id, batch)
  )`,
  // The tasks. Narrow on purpose: ten million finished ones must not slow a new one. \`open_host_id\` is the host's while an agent's word
  // may still change the task (QUEUED, IN_PROGRESS, UNKNOWN), else null: a host's open tasks stand together in the index, and all others
  // in the order of their ids, so that what is new is written beside what is new. \`component_command\`: what it does to the state of its
  // component, RESTART for a custom command of that name; null when it does nothing to one.
  `create table if not exists host_role_command (
    task_id bigint not null primary key,
    request_id bigint not null,
    stage_id int not null,
    role_index smallint not null,
    host_id bigint not null,
    role varchar(100) not null,
    role_command ROLE_COMMAND not null,
    component_command ROLE_COMMAND null,
    batch smallint not null,
    manual tinyint not null,
    status STATUS not null,
    attempt smallint not null,
    open_host_id bigint null,
    cancel_requested tinyint not null,
    exit_code int null,
    session_epoch bigint not null,
    binding_id bigint not null,
    change_version bigint not null,
    queue_time bigint not null,
    start_time bigint not null,
    end_time bigint not null,
    stdout_length bigint null,
    stderr_length bigint null,
    structured_length bigint null,
    receive_time bigint not null default 0,
    report_time bigint not null default 0,
    reason varchar(255) null,
    key request (request_id),
    key changes (request_id, change_version),
    key open_host (open_host_id)
  )`,
  // The command of each task: what is the task's own in what it runs, a serialised howdah.v1.CommandSpec, empty when it shares all.
  `create table if not exists execution_command (
    task_id bigint not null primary key,
    command mediumblob not null
  )`,
  // The documents that commands were bound to at delivery; few rows, many tasks each.
  `create table if not exists command_binding (
    binding_id bigint not null auto_increment primary key,
    configurations_digest varchar(64) not null,
    topology_digest varchar(64) not null,
    metadata_digest varchar(64) not null,
    unique key digests (configurations_digest, topology_digest, metadata_digest)
  )`,
  // Superseded attempts.
  `create table if not exists task_attempt (
    task_id bigint not null,
    attempt smallint not null,
    status STATUS not null,
    exit_code int null,
    session_epoch bigint not null,
    binding_id bigint not null,
    queue_time bigint not null,
    start_time bigint not null,
    end_time bigint not null,
    stdout_length bigint null,
    stderr_length bigint null,
    structured_length bigint null,
    reason varchar(255) null,
    primary key (task_id, attempt)
  )`,
  // Output in the chunks it came in. How much is stored of a stream is where its last chunk ends, and the primary key makes two
  // appends at one offset exclude each other: compare-and-set without a row of its own.
  `create table if not exists task_output (
    task_id bigint not null,
    attempt smallint not null,
    stream tinyint not null,
    position bigint not null,
    data mediumblob not null,
    primary key (task_id, attempt, stream, position)
  )`,

  // \`spec\`: a serialised howdah.v1.ScheduleSpec. \`counted_until\`: due times up to here do not count any more. \`last_outcome\`: a
  // howdah.v1.ScheduleOutcome. Every write raises \`version\`, and is conditional on it.
  `create table if not exists schedule (
    schedule_id bigint not null auto_increment primary key,
    name varchar(80) not null,
    spec mediumblob not null,
    enabled tinyint not null,
    version bigint not null,
    counted_until bigint not null,
    last_due bigint not null,
    last_request_id bigint not null,
    last_outcome tinyint not null,
    last_outcome_text varchar(1000) not null,
    unique key name (name)
  )`,
  `create table if not exists maintenance_window (
    name varchar(80) not null primary key,
    cron varchar(255) not null,
    time_zone varchar(64) not null,
    duration_ms bigint not null
  )`,
  ...alertTables,
];

// As enums, so that the tables read well in SQL and take one byte a row. New values go to the end.
const types: Readonly<Record<string, string>> = {
  ALERT_SOURCE_TYPE: `enum('PORT','WEB','METRIC','SCRIPT','RECOVERY','AMS','AGGREGATE','SERVER')`,
  // What is worst comes first: lists are in this order.
  ALERT_STATE: `enum('CRITICAL','WARNING','UNKNOWN','OK')`,
  COMPONENT_STATE: `enum('INIT','INSTALLING','INSTALL_FAILED','INSTALLED','STARTING','STARTED','STOPPING','UNINSTALLING',
    'UNINSTALLED','WIPING_OUT','UPGRADING','DISABLED','UNKNOWN')`,
  ROLE_COMMAND: `enum('INSTALL','UNINSTALL','START','RESTART','STOP','EXECUTE','UPGRADE','SERVICE_CHECK','CUSTOM_COMMAND',
    'ACTIONEXECUTE','CONFIGURE')`,
  STATUS: `enum('PENDING','QUEUED','IN_PROGRESS','HOLDING','COMPLETED','FAILED','HOLDING_FAILED','TIMEDOUT',
    'HOLDING_TIMEDOUT','ABORTED','SKIPPED_FAILED','UNKNOWN')`,
};

/** The first tables. */
export const statements = tables.map((statement) => {
  const sql = statement.replace(
    /\b(ALERT_SOURCE_TYPE|ALERT_STATE|COMPONENT_STATE|ROLE_COMMAND|STATUS) /g,
    (_, name: string) => `${types[name]} `,
  );
  const suffix = " engine = InnoDB default character set utf8mb4 collate utf8mb4_bin";
  return sql.startsWith("create table") ? `${sql}${suffix}` : sql;
});

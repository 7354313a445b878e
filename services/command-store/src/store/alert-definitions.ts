import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type AlertDefinition, AlertDefinitionSchema } from "@howdah/proto/howdah/v1/alert";
import { bytes, execute, query } from "../database/query.js";
import type { Binding } from "../database/statement.js";
import type { Database, Transaction } from "../database/together.js";

/** A definition of a cluster. */
export interface StoredDefinition {
  /** With its id. */
  readonly definition: AlertDefinition;
  /** Which fields operators have changed, a set of bits. */
  readonly edited: number;
}

interface Row {
  readonly definitionId: number;
  readonly edited: number;
  readonly definition: Buffer;
}

/** The definitions of a cluster, by name. `narrow` leaves out those of other services or names. */
export async function readAlertDefinitions(
  db: Database,
  clusterId: number,
  narrow: { readonly service?: string; readonly name?: string } = {},
): Promise<StoredDefinition[]> {
  const { service = "", name = "" } = narrow;
  const bindings: Binding[] = [clusterId];
  if (service !== "") bindings.push(service);
  if (name !== "") bindings.push(name);
  const rows = await query<Row>(
    db,
    `select definition_id as definitionId, edited, definition from alert_definition
    where cluster_id = ? ${service === "" ? "" : "and service_name = ?"} ${name === "" ? "" : "and name = ?"}
    order by name`,
    bindings,
  );
  return rows.map(toStored);
}

function toStored({ definitionId, edited, definition: data }: Row): StoredDefinition {
  const definition = fromBinary(AlertDefinitionSchema, data);
  definition.definitionId = BigInt(definitionId);
  return { definition, edited };
}

const columns = [
  "service_name",
  "component_name",
  "source_type",
  "enabled",
  "interval_minutes",
  "ignore_host",
  "repeat_tolerance",
  "edited",
  "uuid",
  "due_at",
  "definition",
];

function values({ definition, edited }: StoredDefinition, dueAt: number | null) {
  return [
    definition.serviceName,
    definition.componentName,
    definition.sourceType,
    definition.enabled ? 1 : 0,
    definition.intervalMinutes,
    definition.ignoreHost ? 1 : 0,
    definition.repeatTolerance ?? null,
    edited,
    definition.uuid,
    dueAt,
    bytes(toBinary(AlertDefinitionSchema, definition)),
  ];
}

/** Makes definitions. `dueAt` says when the server is to find each out. */
export async function insertAlertDefinitions(
  trx: Transaction,
  clusterId: number,
  definitions: readonly StoredDefinition[],
  dueAt: (definition: AlertDefinition) => number | null,
): Promise<void> {
  for (let start = 0; start < definitions.length; start += 100) {
    const rows = definitions
      .slice(start, start + 100)
      .map((each) => [clusterId, each.definition.name, ...values(each, dueAt(each.definition))]);
    await execute(
      trx,
      `insert into alert_definition (cluster_id, name, ${columns.join(", ")}) values ?`,
      [rows],
    );
  }
}

/** Writes a definition over the one of its id. */
export async function updateAlertDefinition(
  trx: Transaction,
  stored: StoredDefinition,
  dueAt: number | null,
): Promise<void> {
  await execute(
    trx,
    `update alert_definition set ${columns.map((column) => `${column} = ?`).join(", ")} where definition_id = ?`,
    [...values(stored, dueAt), Number(stored.definition.definitionId)],
  );
}

/** Deletes definitions with their current alerts. */
export async function deleteAlertDefinitions(
  trx: Transaction,
  ids: readonly number[],
): Promise<void> {
  if (ids.length === 0) return;
  await deleteAlertsOf(trx, ids);
  await execute(trx, "delete from alert_definition where definition_id in (?)", [ids]);
}

/** Deletes the current alerts of definitions, and which hosts have not checked them. */
export async function deleteAlertsOf(trx: Transaction, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await execute(trx, "delete from alert_current where definition_id in (?)", [ids]);
  await execute(trx, "delete from alert_stale where definition_id in (?)", [ids]);
}

// schemas.ts DEST: writes what kubeconform checks objects by: the kinds of the oldest and newest Kubernetes that the chart
// supports, out of Kubernetes' own description of its API, and those of Prometheus' operator and the Gateway API, out of their
// definitions. Strict: a field that is not known is an error. All of it comes from published Go modules.

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

interface Schema {
  properties?: Record<string, Schema>;
  additionalProperties?: unknown;
  items?: Schema;
  format?: string;
  type?: string | string[];
  'x-kubernetes-group-version-kind'?: { group: string; version: string; kind: string }[];
  'x-kubernetes-preserve-unknown-fields'?: boolean;
}

interface Definition {
  spec: {
    group: string;
    names: { kind: string };
    versions: { name: string; schema: { openAPIV3Schema: Schema } }[];
  };
}

/** Oldest and newest. */
const kubernetes = ['1.30.14', '1.37.0'];
const operators = [
  ['sigs.k8s.io/gateway-api@v1.4.0', 'config/crd/standard'],
  ['github.com/prometheus-operator/prometheus-operator@v0.88.0', 'example/prometheus-operator-crd'],
] as const;
const wanted = new Set(['HTTPRoute', 'ServiceMonitor', 'PrometheusRule']);

const [, , dest] = process.argv;
if (dest === undefined) throw new Error('Usage: schemas.ts DEST');
for (const version of kubernetes) write(join(dest, version), () => ofKubernetes(version));
write(join(dest, 'others'), ofOperators);

/** A folder of files, whole or not at all. */
function write(folder: string, files: () => Map<string, Schema>): void {
  if (existsSync(folder)) return;
  console.log(`reading the kinds of ${folder}`);
  const fresh = `${folder}.${String(process.pid)}`;
  mkdirSync(fresh, { recursive: true });
  for (const [name, schema] of files()) writeFileSync(join(fresh, name), JSON.stringify(schema));
  renameSync(fresh, folder);
}

function ofKubernetes(version: string): Map<string, Schema> {
  const text = readFileSync(
    join(folderOf(`k8s.io/kubernetes@v${version}`), 'api/openapi-spec/swagger.json'),
    'utf8',
  );
  const { definitions } = JSON.parse(text) as { definitions: Record<string, Schema> };
  const files = new Map<string, Schema>();
  for (const [name, schema] of Object.entries(definitions)) {
    // either form, which a schema of its time has no word for
    if (/\.(IntOrString|Quantity)$/.test(name)) schema.type = ['string', 'number'];
    delete schema.format;
    strict(schema);
    const [of, second] = schema['x-kubernetes-group-version-kind'] ?? [];
    if (of === undefined || second !== undefined) continue;
    files.set(fileName(of.kind, of.group, of.version), {
      $ref: `_definitions.json#/definitions/${name}`,
    } as Schema);
  }
  return files.set('_definitions.json', { definitions } as Schema);
}

function ofOperators(): Map<string, Schema> {
  const files = new Map<string, Schema>();
  for (const [module, folder] of operators) {
    const path = join(folderOf(module), folder);
    for (const name of readdirSync(path)) {
      const { spec } = parse(readFileSync(join(path, name), 'utf8')) as Partial<Definition>;
      if (spec === undefined || !wanted.has(spec.names.kind)) continue;
      for (const { name: version, schema } of spec.versions) {
        strict(schema.openAPIV3Schema);
        files.set(fileName(spec.names.kind, spec.group, version), schema.openAPIV3Schema);
      }
    }
  }
  return files;
}

/** Makes whatever has named fields have no others. The metadata of a definition's kind are any. */
function strict(schema: Schema): void {
  const { properties } = schema;
  if (properties && schema['x-kubernetes-preserve-unknown-fields'] !== true)
    schema.additionalProperties ??= false;
  for (const inner of [
    ...Object.values(properties ?? {}),
    schema.items,
    schema.additionalProperties,
  ])
    if (typeof inner === 'object' && inner !== null) strict(inner);
}

/** As kubeconform asks for it by `{{.ResourceKind}}{{.KindSuffix}}.json`. */
function fileName(kind: string, group: string, version: string): string {
  const [first] = group.split('.');
  return `${[kind.toLowerCase(), ...(first === '' ? [] : [first]), version].join('-')}.json`;
}

function folderOf(module: string): string {
  const text = execFileSync('go', ['mod', 'download', '-json', module], {
    cwd: '/',
    encoding: 'utf8',
    maxBuffer: 2 ** 24,
  });
  return (JSON.parse(text) as { Dir: string }).Dir;
}
